"""How soon what happened has an effect: a failure is told, a run past its limit is asked to stop, an end is seen.

With 200 pipelines, on the real service, by the simulator's and the target's own clocks (the same machine's). The last
one beside the peer with the same share of the API's budget, one call a pipeline: both ten times faster than in life,
a poll every 3 s and 1,200 requests a minute instead of 30 s and 120.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from delivery.targets import OK, Answer, HttpTarget, Posted
from e2e.processes import Service, Simulator, until

from exporter.clock import SystemClock

from .peer import Peer
from .programs import a_folder, in_a_process_of_its_own, service, simulator
from .table import Effort, Goal, Row

INTERVAL = 2.0
GROUPS = 5
now = SystemClock().now


def measure(effort: Effort) -> Iterator[Row]:
    yield alerts(effort)
    yield limits(effort)
    yield from behind(effort)


def alerts(effort: Effort) -> Row:
    arrived: dict[str, datetime] = {}

    def keep(posted: Posted) -> Answer:
        run_id = posted.body.partition("run id: ")[2].partition("\n")[0].strip()
        arrived.setdefault(run_id, now())
        return OK

    target = HttpTarget(answer=keep)
    told = f'[[targets]]\nname = "inbox"\nurl = "json://127.0.0.1:{target.port}/"\nmax_per_minute = 6000\n'
    try:
        with account_of(extra=told) as simulated:
            failed = at_random(simulated, effort(100, 5), status="FAILED", duration="30s", ago="30s")
            until(lambda: failed.keys() <= arrived.keys(), timeout=60, what="all are told")
    finally:
        target.stop()
    late = [(arrived[run] - at).total_seconds() for run, at in failed.items()]
    return Row(
        what=f"a failure until its message is received: p95 of {len(late)}, polls every {INTERVAL:g} s",
        unit="s",
        ours=p95s(late),
        theirs=(INTERVAL,) * GROUPS,
        against="the poll interval",
        goal=Goal(INTERVAL + 2),
    )


def limits(effort: Effort) -> Row:
    """Runs that hang, each past its limit of ten seconds at another moment."""
    limit = (
        '[cancel]\nmax_per_hour = 1000\n[[limits]]\nname = "short"\nenvironments = ["prod"]\nallow_short = true\n'
        'mode = "cancel"\ncancel_after = "10s"\n'
    )
    with account_of(extra=limit) as simulated:
        hung = at_random(simulated, effort(50, 5))

        def asked() -> dict[str, datetime]:
            patches = (entry for entry in simulated.log_of_requests() if entry["method"] == "PATCH")
            return {entry["path"].split("/")[-1]: instant(entry["at"]) for entry in patches}

        until(lambda: hung.keys() <= asked().keys(), timeout=60, every=0.5, what="all are asked to stop")
        patched = asked()
    late = [(patched[run] - at - timedelta(seconds=10)).total_seconds() for run, at in hung.items()]
    return Row(
        what=f"over the limit until the request to stop: the latest of {len(late)}, polls every {INTERVAL:g} s",
        unit="s",
        ours=tuple(max(late[group::GROUPS]) for group in range(GROUPS)),
        theirs=(2 * INTERVAL,) * GROUPS,
        against="two poll intervals",
        goal=Goal(2 * INTERVAL + 2),
    )


@contextmanager
def account_of(*, extra: str) -> Iterator[Simulator]:
    """200 pipelines that are polled every `INTERVAL`."""
    with (
        a_folder() as folder,
        simulator(folder, pipelines=200) as simulated,
        service(folder, simulated.url, interval=f"{INTERVAL:g}s", extra=extra) as ours,
    ):
        settled(ours)
        yield simulated


def settled(ours: Service) -> None:
    """What ends from now on is no history."""
    until(lambda: (ours.sample("maia_exporter_polls_total") or 0) >= 2, timeout=60, what="two polls")


def at_random(simulated: Simulator, number: int, **run: str) -> dict[str, datetime]:
    """Make up runs at random moments; when each came to be."""
    chance, never = random.Random(1), threading.Event()
    made = {}
    for each in range(number):
        never.wait(chance.uniform(0, 0.4))
        name = f"ingest/finance-{each % 200 + 1}.orch.yaml"
        made[simulated.tell("runs", pipelineName=name, **run)["pipelineExecutionId"]] = now()
    return made


def behind(effort: Effort) -> Iterator[Row]:
    """How long after its end a run is seen to have ended, and how many are never seen."""
    pipelines, seconds, every = effort(200, 20), effort(60, 5), effort(40, 4)
    with (
        a_folder() as folder,
        simulator(
            folder, pipelines=pipelines, speed=1, history="2m", every=f"{every}s", duration=f"{every / 8}s"
        ) as simulated,
    ):
        with service(folder, simulated.url, interval="3s", per_minute=1200) as ours:
            settled(ours)
            since = now()
            peer_saw = in_a_process_of_its_own(peer_looks, simulated.url, seconds)
            until_at = now()
            polls = ours.sample("maia_exporter_polls_total") or 0
            until(lambda: (ours.sample("maia_exporter_polls_total") or 0) > polls + 1, what="another poll")
        ended = ends(simulated, since, until_at - timedelta(seconds=1))
        we_saw = recorded_ends(folder)
    both = [(we_saw[run] - at, peer_saw[run] - at) for run, at in ended.items() if run in we_saw and run in peer_saw]
    about = f"{pipelines} pipelines, ten times faster than life"
    yield Row(
        what=f"from a run's end until it is seen: {len(both)} runs, {about}",
        unit="s",
        ours=tuple(one.total_seconds() for one, _ in both),
        theirs=tuple(other.total_seconds() for _, other in both),
        against="the peer, one call a pipeline, the same budget",
    )
    yield Row(
        what=f"runs whose end is never seen, of {len(ended)}; {about}",
        unit="runs",
        ours=(len(ended.keys() - we_saw.keys()),),
        theirs=(len(ended.keys() - peer_saw.keys()),),
        against="the peer",
        goal=Goal(0),
    )


def peer_looks(api: str, seconds: float) -> dict[str, datetime]:
    """When the peer saw which run ended, asking for one pipeline after another as fast as its budget allows."""
    peer, saw, never = Peer(api), {}, threading.Event()
    began, calls = perf_counter(), 0
    while perf_counter() - began < seconds:
        run = peer.newest(calls % len(peer.pipelines))
        calls += 1
        if run and run.get("finishedAt"):
            saw.setdefault(run["pipelineExecutionId"], now())
        never.wait(max(0.0, began + calls * 60 / 1200 - perf_counter()))
    return saw


def ends(simulated: Simulator, since: datetime, until_at: datetime) -> dict[str, datetime]:
    """The runs that ended between two instants."""
    found = {}
    for run in simulated.truth()["runs"]:
        if run.get("finishedAt") and since <= instant(run["finishedAt"]) <= until_at:
            found[run["pipelineExecutionId"]] = instant(run["finishedAt"])
    return found


def recorded_ends(folder: Path) -> dict[str, datetime]:
    with closing(sqlite3.connect(folder / "maia-exporter.db")) as database:
        rows = database.execute(
            "SELECT run_id, finished_seen_at FROM run WHERE finished_seen_at IS NOT NULL"
        ).fetchall()
    return {run_id: datetime.fromtimestamp(micros / 1e6, UTC) for run_id, micros in rows}


def p95s(late: list[float]) -> tuple[float, ...]:
    """Of each of five groups."""
    groups = (sorted(late[group::GROUPS]) for group in range(GROUPS))
    return tuple(group[min(len(group) - 1, len(group) * 95 // 100)] for group in groups)


def instant(text: Any) -> datetime:
    return datetime.fromisoformat(text)
