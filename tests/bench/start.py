"""How long until there is something to see: from the start of the process to the first useful `/metrics`.

A first start is useful when a poll has read the account; a restart when the record is shown. Beside it the peer, until
its first scrape has been answered.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import httpx
from e2e.processes import Process, free_port, until

from .programs import a_folder, recorded, running, service, simulator
from .table import Effort, Goal, Row, by_turns

OFTEN = 0.005
"""Seconds between two looks."""


def measure(effort: Effort) -> Iterator[Row]:
    for pipelines in (20,) if effort.quick else (200, 2_000):
        with a_folder() as folder, simulator(folder, pipelines=pipelines) as simulated:
            turns = effort(5, 1)
            peer = "the peer, its first scrape answered"
            first, theirs = by_turns(
                lambda api=simulated.url: first_start(api), lambda api=simulated.url: peer_start(api), turns
            )
            again = tuple(restart(simulated.url, pipelines) for _ in range(turns))
        goal = Goal(2) if pipelines == 200 else None
        yield Row(
            what=f"first start, {pipelines:,} pipelines", unit="s", ours=first, theirs=theirs, against=peer, goal=goal
        )
        yield Row(
            what=f"restart, {pipelines:,} pipelines", unit="s", ours=again, theirs=theirs, against=peer, goal=Goal(2)
        )


def first_start(api: str) -> float:
    with a_folder() as folder:
        return until_shown(folder, api, "maia_up 1.0")


def restart(api: str, pipelines: int) -> float:
    with a_folder() as folder, recorded(folder, pipelines=pipelines):
        return until_shown(folder, api, "maia_pipeline_info{")


def until_shown(folder: Path, api: str, line: str) -> float:
    began = perf_counter()
    with service(folder, api) as ours, httpx.Client(trust_env=False) as client:
        until(lambda: f"\n{line}" in client.get(f"{ours.url}/metrics").text, timeout=60, every=OFTEN, what=line)
        return perf_counter() - began


def peer_start(api: str) -> float:
    with a_folder() as folder:
        port = free_port()
        began = perf_counter()
        with running(Process(sys.executable, "-m", "bench.peer", api, str(port), folder=folder, name="peer")):
            scraped(port)
            return perf_counter() - began


def scraped(port: int) -> httpx.Response:
    """The peer's page, as soon as it answers."""
    with httpx.Client(trust_env=False, timeout=600) as client:
        return until(lambda: client.get(f"http://127.0.0.1:{port}/metrics"), timeout=60, every=OFTEN, what="the peer")
