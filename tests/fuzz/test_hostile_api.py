"""A malicious API against the real process: bounded memory and time, a clear error, and what was shown before stays."""

import re
import socket
from pathlib import Path

import pytest
from e2e.processes import until

from . import hostile

pytestmark = pytest.mark.e2e

MOST_GROWTH = 160
"""MiB of memory that an attack may take at its height; before there were bounds it took thousands."""

ATTACKS = (
    (hostile.gigantic, "decode", "the answer is larger than"),
    (hostile.bomb, "decode", "the answer is larger than"),
    (hostile.junk, "decode", "more objects and lists than any answer has"),
    (hostile.bad_records, "decode", "3000001 records, more than any page has"),
    (hostile.deep, "decode", "nested too deeply"),
    (hostile.long_token, "decode", "more: longer than 16000 characters"),
    (hostile.drip, "timeout", "no whole answer in time"),
    (hostile.header_flood, "network", "list executions"),
    (hostile.hang_up, "network", "list executions"),
)
NAME = "finance/healthy.orch.yaml"


def most_memory(service):
    """Its high-water mark since the last look, in MiB."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def test_whatever_the_api_does_the_service_shows_what_it_had_says_why_and_comes_back(stage):
    simulator = stage.simulator(script="failing", speed=0)
    with hostile.HostileApi(simulator.url) as api, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        service = stage.service(api=api.url, patience="3s", flags=("--log-format", "json"))
        service.up()
        shown = until(lambda: service.sample("maia_pipeline_last_success_timestamp_seconds", pipeline_name=NAME))
        most_memory(service)
        before = most_memory(service)
        redirect = (hostile.redirect_to(f"http://127.0.0.1:{elsewhere.getsockname()[1]}"), "server", "HTTP 302")
        for attack, cause, said in (*ATTACKS, redirect):
            failures = service.sample("maia_exporter_poll_failures_total", cause=cause)
            heard, api.struck = len(service.text), 0
            api.attack = attack
            until(
                lambda: service.sample("maia_exporter_poll_failures_total", cause=cause) > failures,  # noqa: B023
                timeout=40,
                what=f"{attack.__name__}: the poll fails by {cause}\n{service.text[heard:]}",
            )
            assert api.struck, attack.__name__
            until(lambda: said in service.text[heard:], what=f"{attack.__name__} is named")  # noqa: B023
            assert service.sample("maia_up") == 0
            assert service.sample("maia_pipeline_last_success_timestamp_seconds", pipeline_name=NAME) == shown
            assert service.get("/-/healthy").status_code == 200
            assert most_memory(service) - before < MOST_GROWTH, attack.__name__
            assert "Traceback" not in service.text
            api.attack = None
            service.up(timeout=40)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_a_list_that_never_ends_is_bounded_and_one_in_a_circle_is_left(stage):
    simulator = stage.simulator(script="failing", speed=0)
    with hostile.HostileApi(simulator.url) as api:
        service = stage.service(api=api.url, patience="3s", per_minute=120)
        service.up()
        most_memory(service)
        before = most_memory(service)
        api.attack = hostile.circle
        until(lambda: service.sample("maia_pipeline_active_runs", pipeline_name="flood.orch.yaml", status="RUNNING"))
        assert service.sample("maia_up") == 1

        api.attack, api.struck = hostile.endless, 0
        until(lambda: api.struck >= 30, timeout=60, what="it pages on, by its budget")

        assert service.get("/-/healthy").status_code == 200
        assert service.sample("maia_pipeline_last_run_status", pipeline_name=NAME, status="SUCCESS") is not None
        assert most_memory(service) - before < MOST_GROWTH
        assert service.end(timeout=10) == 0
