"""What all workers of the notifier share: the store, the clock, the channel, and whom they tell what.

Must not start threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from sqlalchemy import Connection

    from exporter.clock import Clock
    from exporter.core.delivery import Outcome, Room, TargetNews, Tone
    from exporter.notifier.composer import Composer
    from exporter.store.database import Database
    from exporter.store.errors import StoreError
    from exporter.store.outbox_views import Standing


class Channel(Protocol):
    """Hands messages to targets: `exporter.apprise_channel`."""

    def room(self, url: str) -> Room:
        """How long a message may be."""

    def send(self, url: str, *, title: str, body: str, tone: Tone) -> Outcome:
        """Send one message now; how it went. Raises nothing."""


class Watcher(Protocol):
    """Is told how the store does, and how deliveries stand."""

    def store_works(self) -> None:
        """The store was written."""

    def store_failed(self, error: StoreError) -> None:
        """The store could not be read or written; nothing is sent meanwhile."""

    def deliveries_stand(self, standing: Standing) -> None:
        """The counters and every target, as the store has them now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one target is."""

    name: str
    url: str  # a secret
    per_minute: int

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a reload of the config may change."""

    endpoints: tuple[Endpoint, ...]
    composer: Composer
    max_age: timedelta
    retention: timedelta
    heartbeat_url: str = ""  # a secret

    def __repr__(self) -> str:
        return f"Settings({', '.join(endpoint.name for endpoint in self.endpoints)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What every worker has at hand."""

    database: Database
    clock: Clock
    boot: str  # this process, among all that ever held a lease
    channel: Channel
    pause: Callable[[int], timedelta]  # how long to wait after so many failures in a row
    report: Callable[[Connection, TargetNews], object]
    """Decides what the other targets are told about one, and records it on the connection of the settlement."""
    watcher: Watcher
    on_duty: Callable[[], bool] = lambda: True
    """Whether this process still leads, so that what it has claimed is its to send."""
