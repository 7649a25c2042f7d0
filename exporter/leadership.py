"""Who polls, sends and cancels: this process, as long as its tenure lasts.

On SQLite a lock of the operating system lets one service in, which leads until it ends. Must not know what leading is.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.store.database import Database


class Tenure:
    """One stretch of leading, until it is `over`; nothing may be done any more then, and nothing can be written."""

    def __init__(self, database: Database, *, holds: Callable[[], bool] = lambda: True) -> None:
        self.database = database
        """The store, as far as it may be written during this tenure."""
        self.over = threading.Event()
        self.bell = threading.Event()
        """Rung at the end, for whoever waits for something else."""
        self._holds = holds

    @property
    def holds(self) -> bool:
        """Whether it is sure that no other process leads now."""
        return not self.over.is_set() and self._holds()

    def end(self) -> None:
        """It is over."""
        self.over.set()
        self.bell.set()


class Leadership(Protocol):
    """Says when this process leads."""

    @property
    def tenure(self) -> Tenure | None:
        """The present one."""

    def start(self) -> None:
        """Begin to seek it."""

    def wait(self, stopping: threading.Event) -> Tenure | None:
        """The present tenure, as soon as there is one; None when `stopping` is set before."""

    @property
    def patience(self) -> float:
        """Seconds that a stop may wait for what is under way, before others are let in."""

    def stop(self, seconds: float) -> None:
        """Let another process lead, at once. Takes so long at most."""

    @property
    def alive(self) -> bool:
        """Whether it still seeks or keeps it."""


class SoleLeader:
    """Leads from the beginning to the end."""

    patience = 4.0

    def __init__(self, database: Database) -> None:
        self.tenure = Tenure(database)

    def start(self) -> None:
        """Nothing to do."""

    def wait(self, stopping: threading.Event) -> Tenure | None:
        """The one tenure."""
        return None if stopping.is_set() else self.tenure

    def stop(self, seconds: float) -> None:
        """Nothing to do: the lock ends with the process."""

    @property
    def alive(self) -> bool:
        """Always."""
        return True
