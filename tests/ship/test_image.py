"""The image, built and run line by line: see tests/ship/image.py for what stands for an engine."""

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e.processes import need, until

from exporter import __version__

from .image import Container, build, instructions, locked

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9986/metrics').read().decode())"

CONFIG = """
[maia]
api_url = "http://127.0.0.1:9987/dpc"
token_url = "http://127.0.0.1:9987/oauth/dpc/token"
client_id = "${MAIA_CLIENT_ID}"
client_secret_file = "/run/secrets/client_secret"
[poll]
interval = "1s"
[store]
url = "sqlite:////data/maia-exporter.db"
"""


def need_overlays():
    """Root that may mount: what an engine has too. Without it the test is skipped, and in CI it fails."""
    for program in ("mount", "umount", "unshare", "nsenter", "setpriv", "chroot"):
        need(program)
    if os.geteuid() != 0 or "overlay" not in Path("/proc/filesystems").read_text():
        if os.environ.get("CI") == "true":
            pytest.fail("the image's test needs root and overlay file systems")
        pytest.skip("needs root and overlay file systems")


@pytest.mark.e2e
def test_what_the_dockerfile_builds_runs_as_nobody_on_a_read_only_root_and_ends_when_told_to(tmp_path):
    need_overlays()
    secret, config = tmp_path / "client_secret", tmp_path / "config.toml"
    secret.write_text("demo\n")
    config.write_text(CONFIG)
    layers = tmp_path / "layers"
    layers.mkdir()
    with ExitStack() as stack:
        image = build(ROOT / "Dockerfile", folder=layers, stack=stack, arguments={"REVISION": COMMIT})
        assert image.said["LABEL"]["org.opencontainers.image.version"] == __version__
        assert image.said["LABEL"]["org.opencontainers.image.revision"] == COMMIT
        holds_the_locked_and_no_tools(image)
        with_secret = image.inside("/run/secrets/client_secret")
        with_secret.parent.mkdir(parents=True, exist_ok=True)
        with_secret.touch()

        container = Container(
            image,
            folder=layers,
            stack=stack,
            mounts={"/etc/maia-exporter/config.toml": config, "/run/secrets/client_secret": secret},
            environment={"MAIA_CLIENT_ID": "demo"},
        )
        health = image.command("HEALTHCHECK")
        until(lambda: container.pid and container.run(*health).returncode == 0, timeout=60, what="it is healthy")
        simulator = container.start("maia-exporter", "simulate", "--listen", "127.0.0.1:9987", "--script", "calm")
        stack.callback(simulator.wait, 10)
        stack.callback(simulator.terminate)
        until(lambda: "\nmaia_up 1.0" in container.run("python", "-c", ASK).stdout, timeout=60, what="it has polled")

        status = Path(f"/proc/{container.pid}/status").read_text()
        assert re.search(r"^Uid:\t10001\t10001\t10001\t10001$", status, re.MULTILINE)
        assert re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE)
        assert "Read-only file system" in container.run("touch", "/opt/x", user="0").stderr
        assert (container.root / "data/maia-exporter.db").stat().st_uid == 10001
        told = container.run("maia-exporter", "--version").stdout
        assert f"revision: {COMMIT}" in told
        assert "psycopg 3." in told
        assert "not installed" not in told
        assert "demo" not in container.run("cat", "/proc/1/cmdline").stdout

        os.kill(container.pid, signal.SIGSTOP)
        assert container.run(*health).returncode == 1
        os.kill(container.pid, signal.SIGCONT)
        assert container.stop(signal.SIGTERM, timeout=10) == 0
        assert "Traceback" not in container.log.read_text()


def holds_the_locked_and_no_tools(image):
    (site_packages,) = image.inside("/opt/maia-exporter").glob("lib/python*/site-packages")
    installed = {path.name.partition("-")[0].lower() for path in site_packages.glob("*.dist-info")}
    wanted = {name.replace("-", "_").replace(".", "_").lower() for name, _ in locked(ROOT / "requirements.lock")}
    assert installed == wanted | {"maia_exporter"}
    assert not image.inside("/opt/build").exists()
    assert not image.inside("/src").exists()
    base = str(Path(sys._base_executable).resolve())
    for python, tools in ((base, ("pip", "ensurepip")), ("/opt/maia-exporter/bin/python", ("pip", "setuptools"))):
        for tool in tools:
            asked = subprocess.run(["chroot", image.root, python, "-I", "-c", f"import {tool}"], capture_output=True)
            assert b"No module named" in asked.stderr, f"{python}: {tool}"


def test_the_process_is_started_without_a_shell():
    said = dict(instructions(ROOT / "Dockerfile"))

    assert said["ENTRYPOINT"].startswith("[")
    assert said["CMD"].startswith("[")
    assert 'CMD ["' in said["HEALTHCHECK"]
    assert said["USER"].isdecimal()  # so that runAsNonRoot can be checked


def test_the_build_sees_nothing_but_what_it_copies():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        source
        for word, rest in instructions(ROOT / "Dockerfile")
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }

    assert "*" in lines
    assert allowed == copied
