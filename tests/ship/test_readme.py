"""What the README says about running it holds: the YAML is right, its config too, and the unit's."""

import re
from pathlib import Path

import pytest
import yaml

from exporter.config import parse

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(section, language):
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def manifests():
    (text,) = blocks("Containers", "yaml")
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(text)}


def test_the_config_of_two_replicas_is_read_with_every_secret_from_a_file(manifests, tmp_path):
    text = manifests["ConfigMap"]["data"]["config.toml"].replace("/run/secrets/maia", str(tmp_path))
    (tmp_path / "client_secret").write_text("s3cr3t\n")
    (tmp_path / "store_url").write_text("postgresql+psycopg://me:hush@db/maia\n")
    (tmp_path / "slack_url").write_text("slack://a/b/c\n")
    config = parse(text, env={"MAIA_CLIENT_ID": "id"}, folder=tmp_path)

    assert config.maia.client_secret.get_secret_value() == "s3cr3t"
    assert config.store.url.get_secret_value() == "postgresql+psycopg://me:hush@db/maia"
    assert config.targets[0].url.get_secret_value() == "slack://a/b/c"


def test_the_pods_are_probed_mounted_and_locked_in(manifests):
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (port,) = container["ports"]

    assert manifests["Deployment"]["spec"]["replicas"] == 2
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": port["name"]}
    assert port["containerPort"] == 9986
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_config_of_the_unit_is_read_with_what_systemd_sets(tmp_path):
    (text,) = blocks("systemd", "toml")
    (tmp_path / "client_secret").write_text("s3cr3t\n")
    where = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": "/var/lib/maia-exporter"}
    config = parse(text, env=where, folder=Path("/etc/maia-exporter"))

    assert config.maia.client_secret.get_secret_value() == "s3cr3t"
    assert config.store.url.get_secret_value() == "sqlite:////var/lib/maia-exporter/maia-exporter.db"
