"""Killed at any moment, the service loses no run and counts none twice: kill -9 at writes and between answers.

After each row of kills the service is started once more and left alone; then every run of the account must be in the
record once, as it is, and every pipeline's counters of started and finished runs must equal the truth since the first
poll. Kills at a write need strace.

The short form kills at a few points, all in one life of the record. The long form kills at each point again and again,
balances the books after every single kill, and prints a table (point, kills, lost, counted twice):

    MAIA_CRASH_SWEEP=40 pytest tests/crash/test_record_killed.py -s -k sweep

The number is up to which write it kills: 40 takes a quarter of an hour.
"""

import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from e2e.conftest import Stage
from e2e.processes import need, until

from .balance import EVEN, Account

pytestmark = pytest.mark.e2e

SWEEP = int(os.environ.get("MAIA_CRASH_SWEEP", "0"))

SCRIPT = """
about = "An account with a past of more than a page, in which only happens what a test says."
history = "1d"
[[projects]]
name = "Finance"
environments = ["prod", "test"]
[[projects]]
name = "Web"
environments = ["prod"]
[[pipelines]]
project = "Finance"
name = "finance/nightly-load.orch.yaml"
every = "20m"
jitter = 0.2
duration = "3m"
outcomes = { SUCCESS = 2, FAILED = 1, FORBIDDEN = 1 }
[[pipelines]]
project = "Web"
name = "clickstream.tran.yaml"
every = "20m"
duration = "1s"
"""

LISTS = "/dpc/v1/pipeline-executions"


class Write(NamedTuple):
    """Killed as it asks the system for this, the n-th time in its life, for the record."""

    call: str
    number: int

    def __str__(self):
        return f"at {self.call} {self.number}"


class Moment(NamedTuple):
    """Killed while the simulator does this to a request."""

    name: str
    fault: str
    scope: dict

    def __str__(self):
        return self.name


WRITES = (Write("pwrite64", 1), Write("pwrite64", 6), Write("fdatasync", 2), Write("fdatasync", 4))

MOMENTS = (
    Moment("a poll's first request arrives", "hang", {"path": LISTS, "query": "*startedAfter*"}),
    Moment("a poll's answer arrives by bits", "drip", {"path": LISTS, "query": "*startedAfter*", "seconds": 0.2}),
    Moment("recent runs are read, FORBIDDEN ones asked for", "hang", {"path": LISTS, "query": "*FORBIDDEN*"}),
    Moment("all lists but the unfinished are read", "hang", {"path": LISTS, "query": "*RUNNING*"}),
    Moment("a run that has left the lists is asked for", "hang", {"path": f"/dpc/v1/projects/*/{LISTS[8:]}/*"}),
    Moment("the last answer of a poll is on its way", "latency", {"query": "*RUNNING*", "seconds": 0.0}),
)


class Bench:
    """One account, one record, and a service that is started and killed; it reads two pages of the past meanwhile."""

    def __init__(self, stage):
        script = stage.folder / "script.toml"
        script.write_text(SCRIPT)
        self.simulator = stage.simulator(script=script, speed=0)
        self.file = stage.folder / "maia-exporter.db"
        self.account = Account(self.simulator, self.file)
        self._stage = stage
        self.account.is_watched_by(service := self._start())
        service.end(signal.SIGKILL)

    def kill(self, point):
        """Kill the service once, there, while the account lives."""
        if isinstance(point, Write):
            self._kill_at_write(point)
        else:
            self._kill_at_moment(point)

    def balance(self):
        """Start it once more and leave it alone."""
        service = self._start()
        found = self.account.balance(service)
        service.end(signal.SIGKILL)
        return found

    def _start(self, **options):
        return self._stage.service(api=self.simulator.url, **options)

    def _kill_at_moment(self, moment):
        service = self._start()
        service.up()
        self.account.an_old_run_is_seen()
        self.simulator.fault(moment.fault, **moment.scope)
        self.account.goes_on()
        until(self.simulator.struck, what=moment.name)
        service.end(signal.SIGKILL)
        self.simulator.calm_down()

    def _kill_at_write(self, write):
        record = [word for end in ("", "-wal") for word in ("-P", f"{self.file}{end}")]
        inject = ("-e", f"trace={write.call}", "-e", f"inject={write.call}:signal=SIGKILL:when={write.number}")
        service = self._start(wrapped_by=(need("strace"), "-f", "-o", "/dev/null", *record, *inject))

        def died():
            if service.ended() is None:
                self.account.goes_on()
            return service.ended() is not None

        until(died, timeout=60, every=0.5, what=f"killed {write}")


@pytest.fixture
def bench(tmp_path):
    with ExitStack() as stack:
        yield Bench(Stage(tmp_path, stack))


@pytest.mark.parametrize("points", [MOMENTS, WRITES], ids=["between answers", "at writes"])
def test_killed_at_any_point_it_loses_no_run_and_counts_none_twice(bench, points):
    for point in points:
        bench.kill(point)

    assert bench.balance() == EVEN


@pytest.mark.skipif(not SWEEP, reason="the long form, by hand: MAIA_CRASH_SWEEP=40")
def test_sweep_of_every_moment_and_write(bench):
    writes = [Write(call, number) for call in ("pwrite64", "fdatasync") for number in range(1, SWEEP + 1)]
    lost, twice = Counter(), Counter()
    _say(f"{'killed':<50} {'kills':>5} {'lost':>5} {'counted twice':>13}")
    for point, kills in (*((moment, 5) for moment in MOMENTS), *((write, 1) for write in writes)):
        for _ in range(kills):
            bench.kill(point)
            balance = bench.balance()
            lost[point] = max(lost[point], balance.lost.total())
            twice[point] = max(twice[point], balance.twice.total())
        _say(f"{point!s:<50} {kills:>5} {lost[point]:>5} {twice[point]:>13}")

    assert not lost.total() + twice.total()


def _say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
