"""The service as a process: signals, locks, ports, restarts, secrets."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from .processes import EXPORTER, free_port, need, until

pytestmark = pytest.mark.e2e

SECRET = "s3cr3t-that-shows-nowhere"


def test_sigterm_ends_it_with_0_also_in_the_middle_of_a_hung_request(stage):
    simulator = stage.simulator()
    service = stage.service(api=simulator.url)
    service.up()
    simulator.fault("hang", path="/dpc/v1/pipeline-executions")
    until(simulator.struck, what="a poll hangs")

    assert service.end(signal.SIGTERM, timeout=10) == 0


def test_sigint_ends_it_with_0(stage):
    simulator = stage.simulator()
    service = stage.service(api=simulator.url)
    service.up()

    assert service.end(signal.SIGINT, timeout=10) == 0


SIGNALLED_WHILE_IT_LOADS = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "exporter.app":
            os.kill(os.getpid(), int(sys.argv[1]))
sys.meta_path.insert(0, Watch())
from exporter.cli.main import main
main(["run", "--config", sys.argv[2]])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_that_comes_while_it_is_still_loaded_ends_it_with_0_too(tmp_path, number):
    config = tmp_path / "config.toml"
    nowhere = "http://127.0.0.1:1"
    config.write_text(
        f'[maia]\napi_url = "{nowhere}/dpc"\ntoken_url = "{nowhere}/oauth/dpc/token"\n'
        f'client_id = "x"\nclient_secret = "{SECRET}"\n[web]\nlisten = "127.0.0.1:{free_port()}"\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED_WHILE_IT_LOADS, str(int(number)), config],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_a_second_service_on_the_same_record_ends_at_once_and_names_the_first(stage):
    simulator = stage.simulator()
    first = stage.service(api=simulator.url)
    first.up()
    second = subprocess.run(
        [EXPORTER, "run", "--config", first.config], capture_output=True, text=True, timeout=20, cwd=stage.folder
    )

    assert second.returncode == 1
    assert f"pid {first.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.sample("maia_up") == 1


def test_a_port_that_is_taken_is_said_and_ends_it_with_1(stage):
    simulator = stage.simulator()
    service = stage.service(api=simulator.url, port=simulator.port)

    until(lambda: service.ended() is not None)

    assert service.ended() == 1
    assert f"cannot listen on 127.0.0.1:{simulator.port}" in service.text


def test_a_bad_config_ends_it_with_2_and_says_everything_at_once(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('[maia]\nclient_id = "x"\n[poll]\nintervall = "30s"\nlookback = 7\n')
    done = subprocess.run([EXPORTER, "run", "--config", config], capture_output=True, text=True, timeout=20)

    assert done.returncode == 2
    assert '[poll] intervall: unknown key; did you mean "interval"?' in done.stderr
    assert "[poll] lookback" in done.stderr
    assert "[maia] client_secret" in done.stderr


def test_after_a_restart_it_shows_the_record_at_once_while_the_api_is_down(stage):
    simulator = stage.simulator(script="failing", speed=0)
    first = stage.service(api=simulator.url)
    first.up()
    until(
        lambda: first.sample("maia_pipeline_last_success_timestamp_seconds", pipeline_name="finance/healthy.orch.yaml")
    )
    shown = first.sample("maia_pipeline_last_success_timestamp_seconds", pipeline_name="finance/healthy.orch.yaml")
    first.end(signal.SIGKILL)
    simulator.end()

    second = stage.service(api=simulator.url, port=first.port)
    second.ready()

    assert second.sample("maia_up") == 0
    assert (
        second.sample("maia_pipeline_last_success_timestamp_seconds", pipeline_name="finance/healthy.orch.yaml")
        == shown
    )
    assert second.get("/-/healthy").status_code == 200


def test_without_a_record_and_without_an_api_it_is_healthy_but_not_ready(stage):
    service = stage.service(api=f"http://127.0.0.1:{free_port()}")
    until(lambda: service.sample("maia_exporter_poll_failures_total", cause="network"), what="a poll has failed")

    assert service.get("/-/ready").status_code == 503
    assert service.get("/-/healthy").status_code == 200
    assert service.sample("maia_up") == 0


def test_a_folder_nobody_may_write_to_is_said_and_ends_it_with_1(stage):
    service = stage.service(api="http://127.0.0.1:9", extra='[store]\nurl = "sqlite:////proc/maia.db"\n')

    until(lambda: service.ended() is not None)

    assert service.ended() == 1
    assert "/proc/maia.db" in service.text
    assert "Traceback" not in service.text


def test_the_secret_shows_nowhere(stage):
    simulator = stage.simulator(script="failing")
    service = stage.service(api=simulator.url, secret=SECRET, flags=("--log-level", "debug"))
    until(lambda: service.sample("maia_exporter_poll_failures_total", cause="auth"), what="the sign-in has failed")
    pages = [service.get(path).text for path in ("/metrics", "/", "/api/v1/status", "/-/ready")]
    command_line = Path(f"/proc/{service.pid}/cmdline").read_text()
    service.end()
    rows = b"".join(path.read_bytes() for path in stage.folder.glob("maia-exporter.db*"))

    for text in (*pages, command_line, service.text, rows.decode(errors="replace")):
        assert SECRET not in text


def test_what_it_serves_passes_promtool(stage):
    promtool = need("promtool")
    simulator = stage.simulator(script="failing")
    service = stage.service(api=simulator.url)
    service.up()
    page = service.get("/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=30)

    assert done.returncode == 0, done.stdout + done.stderr
    names = [line.rpartition(b" ")[0] for line in page.splitlines() if not line.startswith(b"#")]
    assert len(names) == len(set(names))


def test_the_record_holds_every_run_of_the_account(stage):
    simulator = stage.simulator(script="failing", speed=0)
    service = stage.service(api=simulator.url)
    service.up()
    ids = {run["pipelineExecutionId"] for run in simulator.truth()["runs"]}

    def recorded():
        with sqlite3.connect(stage.folder / "maia-exporter.db") as connection:
            return {row[0] for row in connection.execute("SELECT run_id FROM run")}

    until(lambda: recorded() == ids, what="history has been read")
