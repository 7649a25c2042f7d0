"""Who polls, sends and cancels: this process, as long as its tenure lasts. Must not know what leading is.

On SQLite a lock of the operating system lets one service in, which leads until it ends. On PostgreSQL any number may
run: one leads while it holds a lease, which it renews; the others look again and again whether it has ended.
"""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Protocol

from exporter.clock import Mark
from exporter.store import leader
from exporter.store.errors import NotLeading, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from exporter.clock import Clock
    from exporter.store.database import Database

log = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
LOOK_SECONDS = 0.5
"""Between two looks of one that stands by."""

SURE_SECONDS = 9.0
"""How long after a renewal, by our own clocks, we are sure that nobody else leads."""


class Tenure:
    """One stretch of leading, until it is `over`; nothing may be done any more then, and nothing can be written."""

    def __init__(self, database: Database, *, holds: Callable[[], bool] = lambda: True) -> None:
        self.database = database
        """The store, as far as it may be written during this tenure."""
        self.over = threading.Event()
        self.bell = threading.Event()
        """Rung at the end, for whoever waits for something else."""
        self._holds = holds
        self._lost = False

    @property
    def holds(self) -> bool:
        """Whether something new may be begun."""
        return not self.over.is_set() and self._holds()

    @property
    def is_ours(self) -> bool:
        """Whether it is sure that no other process leads now, so that what was begun may be ended."""
        return not self._lost and self._holds()

    def end(self) -> None:
        """It is over: another process leads, or may."""
        self._lost = True
        self.stop()

    def stop(self) -> None:
        """It is over, because this process ends."""
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

    def retire(self) -> None:
        """Seek no other tenure after this one."""

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

    def retire(self) -> None:
        """Nothing to do."""

    def stop(self, seconds: float) -> None:
        """Nothing to do: the lock ends with the process."""

    @property
    def alive(self) -> bool:
        """Always."""
        return True


class Overseer(Protocol):
    """Is told what becomes of a replica."""

    def stands_by(self) -> None:
        """From now on it does not lead."""

    def store_failed(self, error: StoreError) -> None:
        """The store could not be read or written."""

    def store_works(self) -> None:
        """The store was read or written."""


class Replica:
    """Leads while it holds the lease. In a thread of its own, which nothing else can hold up."""

    patience = 1.5

    def __init__(self, database: Database, overseer: Overseer, *, clock: Clock) -> None:
        self.tenure: Tenure | None = None
        self._database = database
        self._overseer = overseer
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._fence = 0
        self._renewed = Mark.of(clock)
        self._problem = ""
        self._retired = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leader", daemon=True)
        overseer.stands_by()

    def start(self) -> None:
        """Begin."""
        log.info("standing by")
        self._thread.start()

    def wait(self, stopping: threading.Event) -> Tenure | None:
        """The present tenure, as soon as there is one; None when `stopping` is set before."""
        while not stopping.is_set():
            tenure = self.tenure
            if tenure is not None and not tenure.over.is_set():
                return tenure
            self._clock.wait(LOOK_SECONDS / 5, stopping)
        return None

    def retire(self) -> None:
        """Seek no other tenure after this one."""
        self._retired.set()

    def stop(self, seconds: float) -> None:
        """Let another process lead, at once."""
        self.retire()
        self._stopping.set()
        self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Whether it works, or was asked not to."""
        return self._thread.is_alive() or self._stopping.is_set()

    # How

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._clock.wait(self._turn(), self._stopping)
        try:
            if self._fence:
                with self._database.transaction() as connection:
                    leader.release(connection, self._owner, self._fence)
        except StoreError as error:
            log.warning("Another replica takes over only when our lease has ended: %s", error)

    def _turn(self) -> float:
        """Renew, or look whether we may lead; after how many seconds again."""
        tenure = self.tenure
        if tenure is not None and not self._retired.is_set() and not tenure.holds:
            self._lose("the lease could not be renewed in time")
            tenure = None
        try:
            if tenure is not None:
                self._renew()
            elif not self._retired.is_set():
                self._seek()
        except StoreError as error:
            self._failed(error)
            return LOOK_SECONDS
        if self._problem or self.tenure is None:
            self._problem = ""
            self._overseer.store_works()
        return RENEW_SECONDS if self.tenure is not None else LOOK_SECONDS

    def _seek(self) -> None:
        with self._database.reading() as connection:
            if not leader.is_free(connection):
                return
        began = Mark.of(self._clock)
        with self._database.transaction() as connection:
            fence = leader.take(connection, self._owner, seconds=LEASE_SECONDS)
        if fence is None:
            return
        log.info("leading", extra={"fence": fence})
        self._fence, self._renewed = fence, began
        self.tenure = tenure = Tenure(
            self._database.fenced(lambda c: self._confirm(c, tenure, fence)), holds=self._sure
        )

    def _renew(self) -> None:
        began = Mark.of(self._clock)
        with self._database.transaction() as connection:
            ours = leader.renew(connection, self._owner, self._fence, seconds=LEASE_SECONDS)
        if ours:
            self._renewed = began
        else:
            self._lose("another replica leads")

    def _sure(self) -> bool:
        return not self._renewed.aged(self._clock, SURE_SECONDS)

    def _confirm(self, connection: Connection, tenure: Tenure, fence: int) -> None:
        """The check of every write during a tenure; one that fails ends it."""
        try:
            leader.confirm(connection, self._owner, fence)
        except NotLeading:
            tenure.end()
            raise

    def _lose(self, why: str) -> None:
        tenure, self.tenure = self.tenure, None
        if tenure is not None:
            tenure.end()
        log.warning("standing by: this replica leads no more", extra={"reason": why})
        self._overseer.stands_by()

    def _failed(self, error: StoreError) -> None:
        """Say it once; the endpoint of readiness says it as long as it lasts."""
        if str(error) != self._problem:
            log.error("The lease of the leader cannot be looked after: %s", error)
        self._problem = str(error)
        self._overseer.store_failed(error)
