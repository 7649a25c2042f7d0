"""Keeps the outbox tidy: gives up what is too old, prunes what is long settled, shows how deliveries stand.

Lets nothing wait for an hour that only a wrong clock has named.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from exporter.notifier.hand import Hand
from exporter.store import clock_steps, outbox, outbox_views, silences
from exporter.store.errors import StoreError

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.notifier.office import Office, Settings

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two rounds, when nothing happens."""

_SHORTEST = 0.5  # between two rounds, however much happens
_PRUNE_EVERY = 3_600.0
_PRUNED_AT_ONCE = 500  # events a transaction: others write too


class Tidier(Hand):
    """Small chores."""

    def __init__(self, office: Office, settings: Settings) -> None:
        super().__init__("outbox")
        self.settings = settings
        self._office = office
        self._prune_at = office.clock.monotonic()
        self._failed = False

    def tidy(self) -> None:
        """One round. Raises StoreError."""
        office, settings = self._office, self.settings
        now = office.clock.now()
        with office.database.reading() as connection:
            stale = outbox.has_expired(connection, now=now, max_age=settings.max_age)
        if stale:
            with office.database.transaction() as connection:
                given_up = outbox.expire(connection, now=now, max_age=settings.max_age)
            log.warning("given up: older than [alerts] max_age", extra={"deliveries": given_up})
        self._mind_the_clock(now)
        if office.clock.monotonic() >= self._prune_at:
            self._prune(before=now - settings.retention)
        with office.database.reading() as connection:
            names = [endpoint.name for endpoint in settings.endpoints]
            standing = outbox_views.standing(connection, names)
        office.watcher.deliveries_stand(standing)

    def _mind_the_clock(self, now: datetime) -> None:
        database = self._office.database
        with database.reading() as connection:
            left_behind = clock_steps.has_left_behind(connection, now=now)
        if left_behind:
            with database.transaction() as connection:
                brought_back = clock_steps.bring_back(connection, now=now)
            log.warning("Our clock was set back: what waited for a later time is due.", extra={"rows": brought_back})

    def _prune(self, *, before: datetime) -> None:
        office = self._office
        while not self._stopping.is_set():
            with office.database.transaction() as connection:
                pruned = outbox.prune(connection, before=before, limit=_PRUNED_AT_ONCE)
                if pruned < _PRUNED_AT_ONCE:
                    silences.prune(connection, before=before)
            if pruned < _PRUNED_AT_ONCE:
                break
        self._prune_at = office.clock.monotonic() + _PRUNE_EVERY

    def _run(self) -> None:
        """Errors of the store are the workers' to tell, if there is something to send; this one only tries again."""
        clock = self._office.clock
        while not self._stopping.is_set():
            self._bell.clear()
            try:
                self.tidy()
                self._failed = False
            except StoreError as error:
                self._log_first(error)
            clock.wait(_SHORTEST, self._stopping)
            clock.wait(EVERY, self._bell)

    def _log_first(self, error: StoreError) -> None:
        if not self._failed:
            log.warning("The outbox cannot be tidied: %s", error)
        self._failed = True
