"""One target's thread: claim, send, settle, and again; a target that hangs holds up nobody but itself.

Nothing is sent without a lease that is on the disk, and no transaction is open while something is sent. Must not know
what a message says or what an answer means.
"""

from __future__ import annotations

import logging
from functools import cached_property, partial
from typing import TYPE_CHECKING

from exporter.core.delivery import Outcome, OutcomeClass
from exporter.notifier.composer import tone_of
from exporter.notifier.hand import Hand
from exporter.store import leases
from exporter.store.errors import NotLeading, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from exporter.core.delivery import Room, TargetNews
    from exporter.notifier.composer import Composer
    from exporter.notifier.office import Endpoint, Office

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the outbox: commands put something there, and nobody rings the bell."""

_STORE_PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds between tries of a store that fails."""


class Worker(Hand):
    """Delivers to one target until it is stopped; what is being sent then is settled, if its answer comes in time."""

    def __init__(
        self, endpoint: Endpoint, composer: Composer, office: Office, *, settled: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(f"target {endpoint.name}")
        self.endpoint = endpoint
        self.composer = composer
        self._office = office
        self._settled = settled

    def deliver_next(self) -> bool:
        """Send the next message if there is one that may be sent now; whether there was. Raises StoreError."""
        claimed = self._claim()
        if isinstance(claimed, leases.Wait):
            return False
        if not self._office.on_duty():
            raise NotLeading("send what was claimed: another process may do so by now")
        outcome = self._send(claimed)
        self._settle(claimed, outcome)
        return True

    # How

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._bell.clear()
            try:
                busy = self.deliver_next()
                failures = 0
            except StoreError as error:
                failures = self._store_failed(error, failures)
                continue
            except Exception:  # the end of this thread's road: whoever looks at `alive` ends the process
                log.exception("A worker has died; this process ends.", extra={"target": self.endpoint.name})
                return
            if not busy and not self._stopping.is_set():
                self._office.clock.wait(self._patience(), self._bell)

    def _patience(self) -> float:
        due_at = self._due_at
        if due_at is None:
            return LOOK_EVERY
        return min(LOOK_EVERY, max(0.01, (due_at - self._office.clock.now()).total_seconds()))

    _due_at: datetime | None = None

    def _claim(self) -> leases.Claim | leases.Wait:
        office, name = self._office, self.endpoint.name
        with office.database.reading() as connection:
            self._due_at = leases.due_at(connection, name)
        now = office.clock.now()
        if self._due_at is None or self._due_at > now:
            return leases.Wait(self._due_at)
        with office.database.transaction() as connection:
            claimed = leases.claim(
                connection,
                name,
                boot=office.boot,
                now=now,
                per_minute=self.endpoint.per_minute,
                fold=partial(self.composer.fitting, room=self._room),
            )
        office.watcher.store_works()
        if isinstance(claimed, leases.Wait):
            self._due_at = claimed.until
        return claimed

    def _send(self, claimed: leases.Claim) -> Outcome:
        try:
            message = self.composer.message(claimed, now=self._office.clock.now(), room=self._room)
        except Exception:
            log.exception("A message cannot be written.", extra={"event_id": claimed.items[0].event_id})
            return Outcome(OutcomeClass.POISON, "we cannot write this message")
        return self._office.channel.send(
            self.endpoint.url, title=message.title, body=message.body, tone=tone_of(claimed)
        )

    @cached_property
    def _room(self) -> Room:
        return self._office.channel.room(self.endpoint.url)

    def _settle(self, claimed: leases.Claim, outcome: Outcome) -> None:
        """Write down how it went, as often as it takes: until then nothing else is sent to this target."""
        failures = 0
        while True:
            try:
                news = self._write(claimed, outcome)
                break
            except StoreError as error:
                if self._stopping.is_set():
                    raise
                failures = self._store_failed(error, failures)
        _tell(claimed, outcome, news)
        self._settled()

    def _write(self, claimed: leases.Claim, outcome: Outcome) -> tuple[TargetNews, ...] | None:
        office = self._office
        with office.database.transaction() as connection:
            news = leases.settle(connection, claimed, outcome, now=office.clock.now(), pause=office.pause)
            for item in news or ():
                office.report(connection, item)
        office.watcher.store_works()
        return news

    def _store_failed(self, error: StoreError, failures: int) -> int:
        if not failures and not isinstance(error, NotLeading):
            log.error("Nothing is sent until the store works: %s", error, extra={"target": self.endpoint.name})
        self._office.watcher.store_failed(error)
        self._office.clock.wait(_STORE_PAUSES[min(failures, len(_STORE_PAUSES) - 1)], self._stopping)
        return failures + 1


def _tell(claimed: leases.Claim, outcome: Outcome, news: tuple[TargetNews, ...] | None) -> None:
    """One line a fact."""
    facts: dict[str, object] = {"target": claimed.target, "event_id": claimed.items[0].event_id}
    if len(claimed.items) > 1:
        facts = {"target": claimed.target, "events": len(claimed.items), "digest": claimed.digest}
    if news is None:
        log.warning("The lease was lost while sending; another process goes on.", extra=facts)
    elif outcome.outcome is OutcomeClass.SENT:
        log.info("sent", extra=facts)
    else:
        log.warning("not sent", extra={**facts, "outcome": outcome.outcome.value, "reason": outcome.reason})
    for item in news or ():
        log.warning("target %s", item.news.value, extra={"target": item.target, "reason": item.reason})
