"""The notifier: a worker per target, one thread that keeps the outbox tidy, one for the heartbeat.

Must not send or settle anything itself.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from exporter.notifier.heartbeat import Heartbeat
from exporter.notifier.tidier import Tidier
from exporter.notifier.worker import Worker
from exporter.store import leases

if TYPE_CHECKING:
    from exporter.notifier.hand import Hand
    from exporter.notifier.office import Endpoint, Office, Settings

log = logging.getLogger(__name__)

_HASH_ROUNDS = 50_000
"""A webhook's token cannot be guessed, a mailbox's password can: each guess is to cost something."""


class Notifier:
    """Everything that delivers; built once, `retarget` follows the config."""

    def __init__(self, office: Office, settings: Settings) -> None:
        self._office = office
        self._settings = settings
        self._workers: dict[str, Worker] = {}
        self._retired: list[Worker] = []  # of targets that are gone or have moved: still ending
        self._tidier = Tidier(office, settings)
        self._heartbeat = Heartbeat(office, settings)

    def start(self) -> None:
        """Take back what died with an earlier process, and go. Raises StoreError."""
        office = self._office
        with office.database.transaction() as connection:
            recovered = leases.recover(connection, boot=office.boot, now=office.clock.now())
        if recovered:
            log.warning(
                "Deliveries were under way when the last process ended; they go out as possible repeats.",
                extra={"deliveries": recovered},
            )
        self._begin(self._settings)
        self._tidier.start()
        self._heartbeat.start()

    def retarget(self, settings: Settings) -> None:
        """Follow a changed config: what is gone stops, what is new or has a new URL begins. Raises StoreError."""
        self._begin(settings)

    def wake(self) -> None:
        """Something was recorded: whoever committed it calls this."""
        for worker in list(self._workers.values()):
            worker.wake()
        self._tidier.wake()

    def polled_well(self) -> None:
        """A poll was good: ping the heartbeat unless a delivery is overdue. Returns at once."""
        self._heartbeat.wake()

    @property
    def alive(self) -> bool:
        """Whether all workers live."""
        return self._tidier.alive and all(worker.alive for worker in list(self._workers.values()))

    def stop(self, seconds: float) -> bool:
        """Claim nothing more, and wait a while for what is under way; whether all of it has ended."""
        hands: tuple[Hand, ...] = (*self._workers.values(), *self._retired, self._tidier, self._heartbeat)
        for hand in hands:
            hand.stop()
        clock = self._office.clock
        deadline = clock.monotonic() + seconds
        for hand in hands:
            hand.join(deadline - clock.monotonic())
        return not any(hand.running for hand in hands)

    def _begin(self, settings: Settings) -> None:
        office = self._office
        now = office.clock.now()
        with office.database.transaction() as connection:
            for endpoint in settings.endpoints:
                leases.begin_target(connection, endpoint.name, fingerprint=fingerprint(endpoint), now=now)
        wanted = {endpoint.name: endpoint for endpoint in settings.endpoints}
        for name, worker in list(self._workers.items()):
            if wanted.get(name) == worker.endpoint:
                worker.composer = settings.composer
                continue
            worker.stop()  # one that still sends ends after that; its successor claims other rows
            self._retired = [old for old in (*self._retired, worker) if old.running]
            del self._workers[name]
        for name, endpoint in wanted.items():
            if name not in self._workers:
                worker = Worker(endpoint, settings.composer, office, settled=self._tidier.wake)
                worker.start()  # first: one of ours that does not live ends the process
                self._workers[name] = worker
        self._settings = settings
        self._tidier.settings = settings
        self._heartbeat.settings = settings


def fingerprint(endpoint: Endpoint) -> str:
    """A hash that tells a target's URL from another, and does not give it away."""
    salt = f"maia-exporter target {endpoint.name}".encode()
    return hashlib.pbkdf2_hmac("sha256", endpoint.url.encode(), salt, _HASH_ROUNDS).hex()
