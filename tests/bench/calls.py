"""Calls of the API: ours a poll, however large the account is, beside one call a pipeline a scrape.

Counted by the simulator. Lists of projects and published pipelines, and tokens, are not in it, on either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from e2e.processes import Service, Simulator, until

from .peer import Peer
from .programs import a_folder, service, simulator
from .table import Effort, Goal, Row

POLLS = 4


def measure(effort: Effort) -> Iterator[Row]:
    for pipelines in (20,) if effort.quick else (200, 2_000, 10_000):
        with a_folder() as folder, simulator(folder, pipelines=pipelines, every="200h") as simulated:
            ours = of_polls(simulated, windows=effort(5, 1))
            with closing(Peer(simulated.url)) as peer:
                before = calls(simulated)
                list(peer.collect())
                theirs = (calls(simulated) - before,) * len(ours)
        yield Row(
            what=f"calls of an idle poll, {pipelines:,} pipelines",
            unit="calls",
            ours=ours,
            theirs=theirs,
            against="a scrape of the peer, one call a pipeline",
            goal=Goal(3),
        )


def of_polls(simulated: Simulator, *, windows: int) -> tuple[float, ...]:
    """Calls a poll, over some windows of a few polls each."""
    found = []
    with a_folder() as folder, service(folder, simulated.url) as ours:
        until(lambda: polls(ours) >= POLLS, timeout=120, every=0.1, what="some polls")  # the past is short: it is read
        for _ in range(windows):
            began, before = polls(ours), calls(simulated)
            until(lambda began=began: polls(ours) >= began + POLLS, timeout=120, every=0.01, what="some polls")
            found.append((calls(simulated) - before) / (polls(ours) - began))
    return tuple(found)


def polls(ours: Service) -> float:
    return ours.sample("maia_exporter_polls_total") or 0.0


def calls(simulated: Simulator) -> int:
    """Requests about runs so far."""
    return sum("/pipeline-executions" in entry["path"] for entry in simulated.log_of_requests())
