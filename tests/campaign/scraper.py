"""Asks a service for its pages all the time, as a Prometheus and a person do, and says what was wrong with an answer.

While the process is dead, stopped or starting nothing is expected of it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

import httpx

SLOW_SECONDS = 10.0
"""A scrape that takes longer than this waits for something; generous, for a machine that is busy with much else."""

EVERY_SECONDS = 0.4
PAGES = ("/metrics", "/metrics", "/metrics", "/api/v1/status", "/")

_COUNTER = re.compile(r"^(maia_(?:pipeline|notification)\w*_total(?:\{.*\})?) (\S+)$", re.M)


class Scraper:
    """Scrapes one port until it is stopped."""

    def __init__(self, url: str, *, expected: Callable[[], object], look: Callable[[bytes, str], None]) -> None:
        """`expected` gives what names the process that must answer now, None when none must; `look` gets each page."""
        self.scrapes = 0
        self.failed: list[str] = []
        self.fell: list[str] = []
        self._url, self._expected, self._look = url, expected, look
        self.answered: object = None  # the process that has answered once
        self._highest: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(20)

    def _run(self) -> None:
        number = 0
        with httpx.Client(trust_env=False, timeout=SLOW_SECONDS) as client:
            while not self._stopping.wait(EVERY_SECONDS):
                self._scrape(client, PAGES[number % len(PAGES)])
                number += 1

    def _scrape(self, client: httpx.Client, page: str) -> None:
        before = self._expected()
        began = time.perf_counter()
        try:
            answer = client.get(self._url + page)
        except httpx.HTTPError as error:
            trouble, text = f"{page}: {error!r}", ""
        else:
            trouble, text = "" if answer.status_code == 200 else f"{page}: {answer.status_code}", answer.text
            self._look(answer.content, page)
        seconds = time.perf_counter() - began
        if trouble:
            self._stopping.wait(0.5)  # a process that is killed stops listening before it is known to have ended
        lived = before is not None and before == self._expected()
        if not trouble and lived:
            self.answered = before
        if not lived or self.answered != before:
            return
        self.scrapes += 1
        if trouble or seconds > SLOW_SECONDS:
            at = time.strftime("%H:%M:%SZ", time.gmtime())
            self.failed.append(f"{trouble or page} after {seconds:.1f} s, at {at}, process {before}")
        elif page == "/metrics":
            self._compare(text)

    def _compare(self, text: str) -> None:
        """Counters come back after a restart, and never fall."""
        for series, value in _COUNTER.findall(text):
            if float(value) < self._highest.get(series, 0):
                self.fell.append(f"{series} fell from {self._highest[series]:g} to {value}")
            self._highest[series] = float(value)
