"""Two replicas on one PostgreSQL, as processes: one leads, the other takes over, and nothing is done twice.

The short version of `python -m replicas` (see its --help), which prints numbers.
"""

import os
import signal
import subprocess
import threading

import pytest
from delivery.targets import OK, Answer
from e2e.processes import EXPORTER, until
from store.server import PostgreSQL, why_no_postgresql

from .harness import LIMIT, Bench, seconds_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def server():
    if missing := why_no_postgresql():
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with PostgreSQL() as running:
        yield running


@pytest.fixture
def bench(tmp_path, server):
    with Bench(tmp_path, server, extra=LIMIT) as running:
        yield running


def wait_for_a_send(bench, held):
    """A message arrives and is not answered."""
    bench.hook.answer = Answer(after=held)
    before = len(bench.hook.posts)
    bench.fail(1)
    bench.hook.wait_for(before + 1, timeout=40)


def test_one_leads_and_the_other_takes_over_when_it_ends(bench):
    first = bench.leader()
    second = bench.other(first)
    until(lambda: second.get("/-/ready").status_code == 200)
    ready, page = second.get("/-/ready"), second.get("/metrics").text

    assert "standing by" in ready.text
    assert second.get("/-/healthy").status_code == 200
    assert second.get("/api/v1/status").json()["leading"] is False
    names = {line.partition(" ")[0].partition("{")[0] for line in page.splitlines() if not line.startswith("#")}
    assert not [name for name in names if name and not name.startswith("maia_exporter_")]
    assert second.sample("maia_exporter_is_leader") == 0

    bench.fail(100)
    assert bench.finish().extra == 0
    for command in (
        ("silence", "add", "--pipeline", "other", "--for", "1h", "--author", "me", "--comment", "why"),
        ("silence", "list"),
        ("alerts", "list", "--state", "sent"),
        ("alerts", "test", "hook"),
        ("limits", "replay", "--since", "1d"),
        ("limits", "resume"),
    ):
        done = subprocess.run(
            [EXPORTER, *command, "--config", second.config], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (command, done.stderr)
    os.kill(first.pid, signal.SIGTERM)
    took = seconds_until(lambda: bench.leads(second), timeout=40)
    assert first.end() == 0
    assert took < 3

    bench.polled(second)
    run = bench.hang()
    bench.fail(1)
    until(lambda: bench.asked_to_stop() == [run], timeout=40, what="the new leader cancels")
    tally = bench.finish()
    assert tally.good, tally
    assert tally.extra == 0
    assert second.sample("maia_pipeline_runs_finished_total", status="FAILED") == 101, "counters go on"


def test_killed_in_the_middle_of_a_send_its_successor_repeats_that_one_message_marked(bench):
    first = bench.leader()
    second = bench.other(first)
    held = threading.Event()
    wait_for_a_send(bench, held)
    os.kill(first.pid, signal.SIGKILL)
    took = seconds_until(lambda: bench.leads(second), timeout=40)
    bench.hook.answer = OK
    held.set()

    assert took < 15
    tally = bench.finish()
    assert tally.good, tally
    assert tally.interrupted == tally.extra == 1


def test_one_that_slept_past_its_lease_does_nothing_when_it_wakes(bench):
    first = bench.leader()
    second = bench.other(first)
    bench.simulator.fault("latency", path="*/pipeline-executions/*", method="GET", seconds=5)
    run = bench.hang()
    until(bench.simulator.struck, timeout=40, what="it looks at the run, to ask it to stop then")
    held = threading.Event()
    wait_for_a_send(bench, held)
    os.kill(first.pid, signal.SIGSTOP)
    bench.simulator.calm_down()
    bench.leader(but=first)
    bench.hook.answer = OK
    until(lambda: bench.asked_to_stop() == [run], timeout=40, what="the new leader cancels")

    held.set()
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: first.sample("maia_exporter_is_leader") == 0, what="it has noticed")
    bench.fail(2)
    bench.polled(second)
    tally = bench.finish()

    assert tally.good, tally
    assert tally.extra == 1
    assert bench.asked_to_stop() == [run]
    until(lambda: first.get("/-/ready").status_code == 200)
    assert "standing by" in first.get("/-/ready").text


def test_a_server_that_restarts_or_takes_no_writes_is_waited_for(bench):
    before = {each.pid for each in bench.services}
    bench.server.restart()
    bench.leader()
    bench.polled()
    bench.fail(3)
    assert bench.finish().good

    bench.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    bench.ask("SELECT pg_reload_conf()")
    bench.fail(2)
    red = until(
        lambda: next((each.get("/-/ready").text for each in bench.services if each.get("/-/ready").is_error), None),
        what="somebody is not ready",
    )
    assert "is it a standby?" in red
    until(lambda: not any(map(bench.leads, bench.services)), timeout=40, what="nobody leads")
    bench.ask("ALTER SYSTEM RESET default_transaction_read_only")
    bench.ask("SELECT pg_reload_conf()")

    bench.polled()
    tally = bench.finish()
    assert tally.good, tally
    assert tally.extra == 0
    until(lambda: all(each.get("/-/ready").status_code == 200 for each in bench.services))
    assert {each.pid for each in bench.services} == before, "nobody was restarted"
    assert bench.other(bench.leader()).end() == 0, "one that stands by ends at once as well"
