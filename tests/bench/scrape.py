"""Serving the page: the service beside nginx with the same bytes as a static file, one keep-alive connection, by turns.

Then: what the slowest scrapes take while another thread renders 2,000 changed pipelines over and over.
The client is a raw socket loop in this process; its own work is in both servers' numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.processes import Process, until

from .programs import Scraper, a_folder, nginx, recorded, running, service
from .table import Effort, Goal, Row, by_turns

NOWHERE = "http://127.0.0.1:9"


def measure(effort: Effort) -> Iterator[Row]:
    seconds = 0.1 if effort.quick else 1.0
    for pipelines in (200,) if effort.quick else (200, 2_000, 10_000):
        yield beside_nginx(pipelines, seconds, effort.repeats)
    yield while_rendering(effort, seconds)


def beside_nginx(pipelines: int, seconds: float, repeats: int) -> Row:
    with a_folder() as folder, recorded(folder, pipelines=pipelines), service(folder, NOWHERE, interval="1h") as ours:
        ours.ready()
        ours_scraped = Scraper(ours.port)
        body = ours_scraped.once()
        with nginx(folder, body) as port:
            theirs_scraped = Scraper(port)
            one, other = by_turns(
                lambda: ours_scraped.rate(seconds).per_second, lambda: theirs_scraped.rate(seconds).per_second, repeats
            )
    return Row(
        what=f"scrapes a second (more is better), {pipelines:,} pipelines, {len(body) / 1e3:,.0f} kB of gzip",
        unit="/s",
        ours=one,
        theirs=other,
        against="nginx, a static file",
        goal=Goal(0.6, of_ratio=True, at_least=True) if pipelines == 200 else None,
    )


def while_rendering(effort: Effort, seconds: float) -> Row:
    """The p99 of scrapes of a process that does nothing but render, beside one that has nothing to render."""
    pipelines = effort(2_000, 200)
    with a_folder() as folder, rendering(folder, pipelines) as busy, rendering(folder, 0) as idle:
        ours, theirs = by_turns(
            lambda: busy.rate(seconds).p99 * 1e3, lambda: idle.rate(seconds).p99 * 1e3, effort.repeats
        )
    return Row(
        what=f"p99 of a scrape while {pipelines:,} pipelines are rendered without a pause",
        unit="ms",
        ours=ours,
        theirs=theirs,
        against="the same page, nothing to render",
        goal=Goal(20),
    )


@contextmanager
def rendering(folder: Path, pipelines: int) -> Iterator[Scraper]:
    port = folder / f"port-{pipelines}"
    command = (sys.executable, "-m", "bench.rendering", str(pipelines), port)
    with running(Process(*command, folder=folder, name=f"rendering-{pipelines}")):
        until(lambda: port.exists() and port.read_text(), what="the port")
        yield Scraper(int(port.read_text()))
