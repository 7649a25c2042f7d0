"""The page with every strip full: its size, how long it takes to make beside sending one that was made before, when a
browser has painted it, and how long scrapes take while it is made anew without a pause, beside those with nobody
looking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from page.accounts import Account, large
from page.browser import browsing
from web.serving import Service

from .programs import Scraper, in_a_process_of_its_own
from .table import Effort, Goal, Row, by_turns

_PAINTED = "performance.getEntriesByName('first-contentful-paint')"


def measure(effort: Effort) -> Iterator[Row]:
    pipelines = effort(2_000, 200)
    account = large(pipelines)
    with account.served() as service:
        visitor = Visitor(account, service)
        size = len(visitor.again()) / 1e3
        made, sent = by_turns(lambda: timed(visitor.anew), lambda: timed(visitor.again), effort.repeats)
        what = f"the page, {pipelines:,} pipelines with 30 runs each,"
        yield Row(what=f"{what} compressed", unit="kB", ours=(size,), goal=Goal(300))
        yield Row(
            what=f"{what} made after a poll, until the last byte",
            unit="ms",
            ours=made,
            theirs=sent,
            against="the same, made before",
        )
        yield Row(
            what=f"{what} until a browser has painted something",
            unit="ms",
            ours=tuple(painted(service.url, effort.repeats)),
            goal=Goal(1_000),
        )
        seconds = effort(1, 0) or 0.1
        port = service.server.port
        one, other = by_turns(
            lambda: beside_pages(account, service, seconds),
            lambda: in_a_process_of_its_own(p99, port, seconds),
            effort.repeats,
        )
    yield Row(
        what=f"p99 of a scrape while the page of {pipelines:,} pipelines is made without a pause",
        unit="ms",
        ours=one,
        theirs=other,
        against="the same with nobody looking",
        goal=Goal(20),
    )


class Visitor:
    """Asks for the page over one connection, like a browser that stays."""

    def __init__(self, account: Account, service: Service) -> None:
        self._account, self._service = account, service
        self._scraper = Scraper(service.server.port, "/", "text/html")
        self.again()

    def anew(self) -> bytes:
        """The page after a poll: nothing that was made before is of use."""
        self._account.publish(self._service)
        return self.again()

    def again(self) -> bytes:
        """The page as it was made before."""
        return self._scraper.once()


def timed(fetch: Callable[[], bytes]) -> float:
    began = perf_counter()
    fetch()
    return (perf_counter() - began) * 1e3


def painted(url: str, repeats: int) -> Iterator[float]:
    """Milliseconds from the start of the navigation."""
    with browsing() as browser:
        for _ in range(repeats):
            page = browser.new_page()
            page.goto(url)
            page.wait_for_function(f"{_PAINTED}.length")
            yield page.evaluate(f"{_PAINTED}[0].startTime")
            page.context.close()


def p99(port: int, seconds: float) -> float:
    return Scraper(port).rate(seconds).p99 * 1e3


def beside_pages(account: Account, service: Service, seconds: float) -> float:
    with looking(account, service):
        return in_a_process_of_its_own(p99, service.server.port, seconds)


@contextmanager
def looking(account: Account, service: Service) -> Iterator[None]:
    """Somebody who asks for the page again and again, always after a poll."""
    stop, visitor = threading.Event(), Visitor(account, service)

    def look() -> None:
        while not stop.is_set():
            visitor.anew()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
