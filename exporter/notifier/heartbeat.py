"""Tells a dead man's switch elsewhere that we are alive and of use: a good poll, and no delivery overdue.

In a thread of its own: an answer that does not come holds up nobody. The URL is a secret.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx

from exporter.notifier.hand import Hand
from exporter.store import outbox_views
from exporter.store.errors import StoreError

if TYPE_CHECKING:
    from exporter.notifier.office import Office, Settings

log = logging.getLogger(__name__)

OVERDUE_AFTER = timedelta(minutes=10)
"""A delivery that has waited longer than this means that alerts do not arrive."""

_FETCH_SECONDS = 10.0


class Heartbeat(Hand):
    """Fetches `heartbeat_url` when woken, after a good poll; several requests while one is under way are one."""

    def __init__(self, office: Office, settings: Settings) -> None:
        super().__init__("heartbeat")
        self.settings = settings
        self._office = office
        self._last_problem = ""

    def _run(self) -> None:
        while True:
            self._bell.wait()
            self._bell.clear()
            if self._stopping.is_set():
                return
            if self.settings.heartbeat_url:
                self._log_change_of(self._fetch() if self._all_is_well() else "deliveries are overdue")

    def _all_is_well(self) -> bool:
        office = self._office
        names = [endpoint.name for endpoint in self.settings.endpoints]
        try:
            with office.database.reading() as connection:
                return not outbox_views.overdue(connection, names, now=office.clock.now(), after=OVERDUE_AFTER)
        except StoreError:
            return False  # the workers and the poller say what is wrong with it

    def _fetch(self) -> str:
        """Fetch the URL; what went wrong, "" for nothing. The library's own words would show the URL."""
        try:
            answer = httpx.get(self.settings.heartbeat_url, timeout=_FETCH_SECONDS, follow_redirects=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return "" if answer.is_success else f"HTTP {answer.status_code}"

    def _log_change_of(self, problem: str) -> None:
        if problem and problem != self._last_problem:
            log.warning("no heartbeat", extra={"reason": problem})
        elif self._last_problem and not problem:
            log.info("heartbeats again")
        self._last_problem = problem
