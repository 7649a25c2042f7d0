"""Serving the page: the service beside nginx with the same bytes as a static file, one keep-alive connection, by turns.

Then: what the slowest scrapes take while another thread renders 2,000 changed pipelines over and over; the status page.
The client is a raw socket loop in this process; its own work is in both servers' numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from e2e.processes import Process, until

from .programs import Scraper, a_folder, nginx, recorded, running, service
from .table import Effort, Goal, Row, by_turns

NOWHERE = "http://127.0.0.1:9"


def measure(effort: Effort) -> Iterator[Row]:
    seconds = 0.1 if effort.quick else 1.0
    for pipelines in (200,) if effort.quick else (200, 2_000, 10_000):
        yield beside_nginx(pipelines, seconds, effort.repeats)
    # W
    yield from status_page(effort)


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


def status_page(effort: Effort) -> Iterator[Row]:
    """What the page for people costs the server, and how large it is."""
    pipelines = effort(2_000, 200)
    with a_folder() as folder, recorded(folder, pipelines=pipelines), service(folder, NOWHERE, interval="1h") as ours:
        ours.ready()
        size = len(Scraper(ours.port, "/", "text/html").once()) / 1e3
        # Every filter is a page that was not made before; all of them match every pipeline.
        filters = (f"/?q={'pipeline'[:length]}" for length in range(1, 9))
        one, other = by_turns(lambda: timed(ours.port, next(filters)), lambda: timed(ours.port, "/"), effort.repeats)
        again, healthy = by_turns(lambda: timed(ours.port, "/"), lambda: timed(ours.port, "/-/healthy"), effort.repeats)
    what = f"the status page, {pipelines:,} pipelines with 30 runs each"
    yield Row(what=f"{what}, as sent", unit="kB", ours=(size,), goal=Goal(300))
    yield Row(
        what=f"{what}, made anew, until the last byte",
        unit="ms",
        ours=one,
        theirs=other,
        against="the same, made before",
        goal=Goal(1_000),
    )
    yield Row(
        what=f"{what}, made before, until the last byte",
        unit="ms",
        ours=again,
        theirs=healthy,
        against="/-/healthy of the same server",
    )


def timed(port: int, path: str) -> float:
    scraper = Scraper(port, path, "text/html")
    began = perf_counter()
    scraper.once()
    milliseconds = (perf_counter() - began) * 1e3
    scraper.close()
    return milliseconds
