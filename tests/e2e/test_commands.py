"""`once`, `check` and `demo` through the installed console script."""

import re
import signal
import subprocess

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .processes import EXPORTER, Process, free_port, until

pytestmark = pytest.mark.e2e


def command(*words, folder):
    return subprocess.run([EXPORTER, *words], capture_output=True, text=True, timeout=60, cwd=folder)


@pytest.fixture
def configured(stage):
    """A simulator, and a folder with a config for it."""
    simulator = stage.simulator(script="failing", speed=0)
    stage.folder.joinpath("config.toml").write_text(
        f'[maia]\napi_url = "{simulator.url}/dpc"\ntoken_url = "{simulator.url}/oauth/dpc/token"\n'
        'client_id = "demo"\nclient_secret = "demo"\n'
    )
    return simulator


def test_once_prints_the_metrics_and_leaves_nothing_behind(stage, configured):
    before = sorted(stage.folder.iterdir())

    done = command("once", folder=stage.folder)

    assert done.returncode == 0, done.stderr
    families = {family.name for family in text_string_to_metric_families(done.stdout)}
    assert {"maia_up", "maia_pipeline_last_run_status", "maia_pipeline_active_runs"} <= families
    assert "maia_up 1.0" in done.stdout
    assert sorted(stage.folder.iterdir()) == before


def test_once_says_that_the_api_is_down_and_ends_with_1(stage, configured):
    configured.end()

    done = command("once", folder=stage.folder)

    assert done.returncode == 1
    assert "maia_up 0.0" in done.stdout
    assert "Traceback" not in done.stderr


def test_check_says_that_a_config_is_good(stage, configured):
    done = command("check", folder=stage.folder)

    assert (done.returncode, done.stdout.strip()) == (0, "config.toml: good")


def test_check_live_lists_what_the_scope_matches(stage, configured):
    done = command("check", "--live", folder=stage.folder)

    assert done.returncode == 0, done.stderr
    assert "prod: finance/healthy.orch.yaml" in done.stdout


def test_check_live_says_which_rules_match_which_pipelines(stage, configured):
    with stage.folder.joinpath("config.toml").open("a") as config:
        config.write("""
[[targets]]
name = "hook"
url = "json://127.0.0.1"
[[routes]]
targets = ["hook"]
pipelines = ["healthy"]
events = ["OVERDUE"]
[[routes]]
targets = ["hook"]
environments = ["nowhere"]
[[expectations]]
pipelines = ["finance/h*"]
success_within = "26h"
[[limits]]
name = "nightly"
pipelines = ["healthy*"]
warn_after = "2h"
[[limits]]
name = "idle"
environments = ["nowhere"]
warn_after = "2h"
""")

    done = command("check", "--live", folder=stage.folder)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[lines.index('limit "nightly", mode observe: 1 pipeline') :] == [
        'limit "nightly", mode observe: 1 pipeline',
        "    Finance, prod: finance/healthy.orch.yaml",
        'warning: limit "idle", mode observe: matches no published pipeline',
        "route #1 to hook: 1 pipeline",
        "    Finance, prod: finance/healthy.orch.yaml",
        "warning: route #2 to hook: matches no published pipeline",
        "expectation #1, a success within 1 d 2 h: 1 pipeline",
        "    Finance, prod: finance/healthy.orch.yaml",
    ]


def test_check_live_says_that_the_sign_in_failed(stage, configured):
    config = stage.folder / "config.toml"
    config.write_text(config.read_text().replace('client_secret = "demo"', 'client_secret = "wrong-one-here"'))

    done = command("check", "--live", folder=stage.folder)

    assert done.returncode == 1
    assert "sign in" in done.stderr
    assert "wrong-one-here" not in done.stderr


def test_the_demo_shows_what_it_says_and_ends_on_ctrl_c(tmp_path):
    demo = Process(EXPORTER, "demo", folder=tmp_path, name="demo")
    try:
        url = until(lambda: re.search(r"metrics +(http://\S+)/metrics", demo.text), what="the demo is up").group(1)
        until(lambda: "maia_up 1.0" in httpx.get(f"{url}/metrics", trust_env=False).text)
        until(lambda: "run finished" in demo.text, what="something happens")
        assert httpx.get(url, trust_env=False).status_code == 200
    finally:
        assert demo.end(signal.SIGINT) == 0
    assert "The demo has ended." in demo.text


def test_an_unknown_command_ends_with_2(tmp_path):
    assert command("frobnicate", folder=tmp_path).returncode == 2


def test_a_taken_default_port_does_not_keep_the_demo_from_starting(tmp_path, unused_default_port):
    demo = Process(EXPORTER, "demo", folder=tmp_path, name="demo")
    try:
        found = until(lambda: re.search(r"metrics +http://127.0.0.1:(\d+)/", demo.text), what="the demo is up")
        assert found.group(1) != "9986"
    finally:
        assert demo.end(signal.SIGINT) == 0


@pytest.fixture
def unused_default_port():
    """Hold the default port, or leave it with whoever has it."""
    import socket

    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", 9986))
            holder.listen()
        except OSError:
            pass
        yield free_port()
