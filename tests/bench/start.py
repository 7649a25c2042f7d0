"""How long until there is something to see: from the start of the process to the first useful `/metrics`.

A first start is useful when a poll has read the account; a restart when the record is shown. Beside it the peer, until
its first scrape has been answered. The processor's time stands beside the clock's: on a busy machine it says more.
"""

from __future__ import annotations

import os
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
            for what, start in (("first start", first_start), ("restart", restart)):
                cpu: list[float] = []
                ours, theirs = by_turns(
                    lambda start=start, cpu=cpu, size=pipelines: start(simulated.url, size, cpu),
                    lambda: peer_start(simulated.url),
                    effort(5, 1),
                )
                goal = Goal(2) if what == "restart" or pipelines == 200 else None
                yield Row(
                    what=f"{what}, {pipelines:,} pipelines",
                    unit="s",
                    ours=ours,
                    theirs=theirs,
                    against="the peer, its first scrape answered",
                    goal=goal,
                )
                yield Row(what=f"the processor's share of it; {what}", unit="s", ours=tuple(cpu))


def first_start(api: str, _: int, cpu: list[float]) -> float:
    with a_folder() as folder:
        return until_shown(folder, api, "maia_up 1.0", cpu)


def restart(api: str, pipelines: int, cpu: list[float]) -> float:
    with a_folder() as folder, recorded(folder, pipelines=pipelines):
        return until_shown(folder, api, "maia_pipeline_info{", cpu)


def until_shown(folder: Path, api: str, line: str, cpu: list[float]) -> float:
    """Seconds by the clock; what the process had of the processor goes to `cpu`."""
    began = perf_counter()
    with service(folder, api) as ours, httpx.Client(trust_env=False) as client:
        until(lambda: f"\n{line}" in client.get(f"{ours.url}/metrics").text, timeout=60, every=OFTEN, what=line)
        seconds = perf_counter() - began
        user, system = Path(f"/proc/{ours.pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
        cpu.append((int(user) + int(system)) / os.sysconf("SC_CLK_TCK"))
        return seconds


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
