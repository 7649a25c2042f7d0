"""The first read of a long past: a service's first poll and the pages after it beside a bare httpx loop over them.

Both without a budget, each in a process of its own, by turns, on a simulator that serves both: one that answers at
once, as nothing does that lies across a network, and one that takes its time. Ours decodes, checks, follows and commits
what it reads, and renders it; the loop decodes the JSON and forgets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from time import perf_counter

from exporter.clock import SystemClock

from .peer import signed_in
from .poll import watching
from .programs import a_folder, in_a_process_of_its_own, memory_of, simulator
from .table import Effort, Goal, Row, by_turns

LATENCY = 0.05
"""Seconds that an answer across a network takes."""


def measure(effort: Effort) -> Iterator[Row]:
    pipelines = effort(2_000, 20)
    for days, latency in ((1, 0.0),) if effort.quick else ((1, 0.0), (10, 0.0), (1, LATENCY), (10, LATENCY)):
        with a_folder() as folder, simulator(folder, pipelines=pipelines, history=f"{days}d", every="4h") as simulated:
            both = Both(simulated.url, days)
            if latency:
                simulated.fault("latency", seconds=latency)
            ours, theirs = by_turns(both.ours, both.bare, effort(1 if days > 1 and latency else 5, 1))
        answers = f"an answer takes {latency * 1e3:.0f} ms" if latency else "answers come at once"
        yield Row(
            what=f"first read of {both.read:,} past runs, {answers}",
            unit="s",
            ours=ours,
            theirs=theirs,
            against="a bare httpx loop over the same pages",
            goal=None if effort.quick or days < 10 else Goal(1.3, of_ratio=True),
        )
        yield Row(what=f"the most memory while it reads {both.read:,} past runs", unit="MB", ours=tuple(both.memory))


class Both:
    """Ours and the bare loop on one account; remembers how much was read, and with how much memory."""

    def __init__(self, api: str, days: int) -> None:
        self._of = (api, days)
        self.read = 0
        self.memory: list[float] = []

    def ours(self) -> float:
        self.read, seconds, most = in_a_process_of_its_own(first_read, *self._of)
        self.memory.append(most)
        return seconds

    def bare(self) -> float:
        seconds: float = in_a_process_of_its_own(bare_loop, *self._of)
        return seconds


def first_read(api: str, days: int) -> tuple[int, float, float]:
    """Runs, seconds, and the most memory in MB."""
    with a_folder() as folder, watching(folder, api, lookback=f"{days}d") as (watch, database):
        began = perf_counter()
        if not watch.poller.poll():
            raise SystemExit("the first poll failed")
        while watch.desk.account.state.cursor.sweeps:
            watch.chores.work(until=watch.desk.clock.monotonic() + 30)
        seconds = perf_counter() - began
        with database.reading() as connection:
            read = connection.exec_driver_sql("SELECT count(*) FROM run").scalar_one()
    return read, seconds, memory_of()[0]


def bare_loop(api: str, days: int) -> float:
    """Seconds."""
    after = (SystemClock().now() - timedelta(days=days)).isoformat().replace("+00:00", "Z")
    params = {"startedAfter": after, "limit": "100"}
    with signed_in(api) as client:
        began = perf_counter()
        while True:
            answer = client.get("/v1/pipeline-executions", params=params).raise_for_status().json()
            if not answer.get("more"):
                return perf_counter() - began
            params["paginationToken"] = answer["more"]
