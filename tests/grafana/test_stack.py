"""The stack: compose.yaml as far as it can be read without an engine, and the same as processes."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from e2e.processes import EXPORTER, Process, need, until

from .queries import GRAFANA

COMPOSE = yaml.safe_load((GRAFANA / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
PROVISIONING = GRAFANA / "provisioning"


def mounts(service):
    """The bind mounts of a service: path here -> path inside."""
    found = {}
    for volume in service.get("volumes", ()):
        here, inside, *_ = volume.split(":")
        if here.startswith("."):
            found[(GRAFANA / here).resolve()] = Path(inside)
    return found


def test_there_are_the_five_of_them():
    assert set(SERVICES) == {"simulator", "exporter", "prometheus", "alertmanager", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image_and_mounts_what_is_there(name):
    service = SERVICES[name]
    assert re.fullmatch(r"(prom|grafana)/[a-z]+:v?\d+\.\d+\.\d+|maia-exporter:local", service["image"])
    for path in mounts(service):
        assert path.exists(), path
    for volume in service.get("volumes", ()):
        assert volume.startswith(".") or volume.split(":")[0] in COMPOSE["volumes"]
    assert set(service.get("depends_on", ())) <= set(SERVICES)


def test_all_live_in_the_exporters_network_so_that_plain_http_goes_to_loopback_only():
    for name, service in SERVICES.items():
        assert service.get("network_mode") == (None if name == "exporter" else "service:exporter")
        assert "ports" not in service or name == "exporter"
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["exporter"]["ports"])
    assert (GRAFANA / SERVICES["exporter"]["build"]["context"] / "Dockerfile").exists()


def test_the_exporter_takes_its_config_and_the_simulator_its_options(tmp_path):
    (config,) = mounts(SERVICES["exporter"])
    assert SERVICES["exporter"]["command"][-1] == str(mounts(SERVICES["exporter"])[config])
    done = subprocess.run(
        [EXPORTER, "check", "--config", config], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    simulate = SERVICES["simulator"]["command"]
    assert simulate[:3] == ["simulate", "--listen", "127.0.0.1:9987"]
    done = subprocess.run([EXPORTER, simulate[0], "--help"], capture_output=True, text=True, timeout=60)
    assert all(word in done.stdout for word in simulate if word.startswith("--"))


@pytest.mark.prometheus
def test_prometheus_and_alertmanager_take_their_configs():
    prometheus = {inside.name: path for path, inside in mounts(SERVICES["prometheus"]).items()}
    assert {path.parent for path in prometheus.values()} == {GRAFANA / "prometheus"}  # where rule_files looks
    (alertmanager,) = mounts(SERVICES["alertmanager"])
    for command in (
        (need("promtool"), "check", "config", prometheus["prometheus.yml"]),
        (need("amtool"), "check-config", alertmanager),
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    ports = {port.rpartition(":")[2] for port in SERVICES["exporter"]["ports"]}
    config = yaml.safe_load(prometheus["prometheus.yml"].read_text())
    asked = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
    targets = {target for each in asked for group in each["static_configs"] for target in group["targets"]}
    assert targets == {"localhost:9986", "localhost:9093"}
    assert {target.partition(":")[2] for target in targets} < ports


def test_grafana_finds_prometheus_and_the_dashboards():
    folders = {inside: path for path, inside in mounts(SERVICES["grafana"]).items()}
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://localhost:9090")
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "maia.yaml").read_text())["providers"]
    dashboards = folders[Path(provider["options"]["path"])]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (dashboards / home.name).exists()
    assert home.parent == Path(provider["options"]["path"])
    assert folders[Path("/etc/grafana/provisioning")] == PROVISIONING


@pytest.mark.e2e
@pytest.mark.prometheus
def test_the_stack_runs_without_an_engine_and_ends_cleanly(tmp_path):
    need("prometheus"), need("prometheus-alertmanager")
    stack = Process(sys.executable, GRAFANA / "stack.py", folder=tmp_path, name="stack")
    try:
        until(lambda: "Ctrl-C ends it" in stack.text or stack.ended() is not None, what="it says where everything is")
        assert stack.ended() is None, stack.text
        urls = dict(re.findall(r"^  (\w+) +(http://localhost:\d+)", stack.text, re.M))
        logs = Path(re.search(r"Logs are in (\S+),", stack.text).group(1))
        with httpx.Client(trust_env=False, timeout=10) as http:

            def answer(path, **parameters):
                return http.get(f"{urls['prometheus']}/api/v1/{path}", params=parameters).json()["data"]

            assert http.get(urls["page"]).status_code == 200
            until(lambda: answer("alertmanagers")["activeAlertmanagers"], what="Prometheus knows Alertmanager")
            until(lambda: answer("query", query="maia_up == 1")["result"], what="Prometheus has scraped the exporter")
            assert http.get(f"{urls['alertmanager']}/-/ready").status_code == 200
            every = [rule for group in answer("rules")["groups"] for rule in group["rules"]]
            pages = [rule["annotations"]["page"] for rule in every if rule["type"] == "alerting"]
            assert len(pages) == 16
            assert all(page.startswith(urls["page"]) for page in pages)
        pids = children(stack.pid)
        assert len(pids) == 4
    finally:
        code = stack.end(signal.SIGINT, timeout=40)

    assert code == 0, stack.text
    assert "The stack ends." in stack.text
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not logs.exists()


def children(pid):
    """The processes that a process has started."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
