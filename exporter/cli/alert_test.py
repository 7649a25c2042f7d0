"""A test message through the real outbox: delivered by the service while it runs, else by this process in its place.

Must not print.
"""

from __future__ import annotations

import random
import threading
import uuid
from typing import TYPE_CHECKING

import click

from exporter import apprise_channel
from exporter.cli.options import WrongConfig, fail, read_config
from exporter.clock import SystemClock
from exporter.config.errors import Problem, quoted
from exporter.core.backoff import pause_after
from exporter.core.exporter_notice import target_test
from exporter.core.notice import Decision, DeliveryState, Dispatch
from exporter.notifier.from_config import routing, settings
from exporter.notifier.news import reporter
from exporter.notifier.service import fingerprint
from exporter.store import leases, outbox, outbox_views
from exporter.store.database import Database
from exporter.store.errors import StoreError, StoreLocked

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.config.root import Config
    from exporter.notifier.office import Endpoint, Settings
    from exporter.store.outbox_views import DeliveryRow

_LOOK_EVERY = 0.2


def send_test(config_path: Path | None, target: str, *, seconds: float) -> DeliveryRow:
    """Record a test for `target` and see it through one attempt; how it stands then."""
    config = read_config(config_path)
    endpoint = _endpoint(config, target)
    try:
        return _Trial(config, endpoint).run(seconds)
    except StoreError as error:
        fail(str(error))


def _endpoint(config: Config, target: str) -> Endpoint:
    chosen = [each for each in config.targets if each.name == target]
    if not chosen:
        names = ", ".join(each.name for each in config.targets) or "none"
        raise click.BadParameter(f"there is no target {target!r}; the config has: {names}", param_hint="TARGET")
    problem = apprise_channel.problem_of(chosen[0].url.get_secret_value())
    if problem:
        raise WrongConfig(str(Problem(f"[[targets]] {quoted(target)}", "url", *problem)))
    return next(each for each in settings(config).endpoints if each.name == target)


class _Trial:
    def __init__(self, config: Config, endpoint: Endpoint) -> None:
        self._clock = SystemClock()
        self._url = config.store.url.get_secret_value()
        self._settings: Settings = settings(config)
        self._report = reporter(lambda: routing(config))
        self._endpoint = endpoint
        self._notice = target_test(endpoint.name, at=self._clock.now())

    def run(self, seconds: float) -> DeliveryRow:
        """Raises StoreError."""
        try:
            database, served = Database.open(self._url, exclusive=True, now=self._clock.now()), False
        except StoreLocked:
            database, served = Database.open(self._url, exclusive=False), True
        try:
            self._record(database)
            delivered = not served and self._deliver(database)
            return self._watch(database, seconds=0.0 if delivered else seconds)
        finally:
            database.close()

    def _record(self, database: Database) -> None:
        name, now = self._endpoint.name, self._clock.now()
        decision = Decision(notice=self._notice, dispatches=(Dispatch(target=name, why="maia-exporter alerts test"),))
        with database.transaction() as connection:
            if leases.health_of(connection, name) is None:
                leases.begin_target(connection, name, fingerprint=fingerprint(self._endpoint), now=now)
            outbox.record(connection, (decision,), now=now)
            leases.probe_now(connection, name, now=now)

    def _deliver(self, database: Database) -> bool:
        """What a worker of the service does, for this one message; False when a service was quicker."""
        name, clock, boot = self._endpoint.name, self._clock, uuid.uuid4().hex
        with database.transaction() as connection:
            leases.begin_target(connection, name, fingerprint=fingerprint(self._endpoint), now=clock.now())
            claimed = leases.claim_one(connection, self._notice.event_id, name, boot=boot, now=clock.now())
        if claimed is None:
            return False
        room = apprise_channel.room(self._endpoint.url)
        message = self._settings.composer.message(claimed, now=clock.now(), room=room)
        outcome = apprise_channel.send(self._endpoint.url, title=message.title, body=message.body)
        chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret
        with database.transaction() as connection:
            news = leases.settle(
                connection,
                claimed,
                outcome,
                now=clock.now(),
                pause=lambda failures: pause_after(failures, uniform=chance.uniform),
            )
            for item in news or ():
                self._report(connection, item)
        return True

    def _watch(self, database: Database, *, seconds: float) -> DeliveryRow:
        """Wait for the first attempt to be settled."""
        deadline = self._clock.monotonic() + seconds
        while True:
            with database.reading() as connection:
                shown = outbox_views.shown(connection, self._notice.event_id)
            rows = [row for row, _ in shown.deliveries] if shown else []
            if not rows:
                fail("the test was recorded and is gone; was the store restored?")
            row = rows[0]
            tried = row.attempts > 0 and not row.sending
            if row.state is not DeliveryState.PENDING or tried or self._clock.monotonic() >= deadline:
                return row
            self._clock.wait(_LOOK_EVERY, threading.Event())
