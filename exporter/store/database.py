"""Opens the store and hands out transactions; everything else in `exporter.store` takes a connection.

An error never spoils the object: the next transaction starts on fresh connections, so that it works again as soon as
the cause is gone. Must not know what the tables mean.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from exporter.store.engine import as_reader, engine_for, is_sqlite
from exporter.store.errors import StoreError, StoreUnavailable, from_system, mapped, place_of
from exporter.store.lock import ServiceLock
from exporter.store.upgrade import needs_upgrade, outdated, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

_OPEN, _READ, _WRITE, _CLOSE = "open the record", "read the record", "write the record", "close the record"


class Database:
    """One store, for any number of threads: each transaction has a connection of its own."""

    def __init__(self, url: URL) -> None:
        # Links are resolved once: two names of one file share one lock.
        self._file = Path(os.path.realpath(url.database)) if is_sqlite(url) and url.database else None
        url = url if self._file is None else url.set(database=str(self._file))
        self.place = place_of(url)
        """Where it is, for people; without password."""
        self._engine = engine_for(url)
        self._lock: ServiceLock | None = None
        self._identity: tuple[int, int] | None = None  # the file we opened, whatever has its name later
        self._check: Callable[[Connection], None] | None = None

    @classmethod
    def open(cls, url: str, *, exclusive: bool, now: datetime | None = None) -> Self:
        """Open the store at a SQLAlchemy URL.

        `exclusive` is for the service: it makes the store or brings its schema up to date, and on SQLite lets no
        second service in (`now` is written down for that one to show). Without it, a command looks in beside the
        service. Raises StoreLocked, StoreNewer, StoreCorrupt, StoreUnavailable.
        """
        try:
            address = make_url(url)
        except (ArgumentError, ValueError):  # the latter for a port that is no number
            raise StoreError(f"{_OPEN}: [store] url is no SQLAlchemy URL") from None  # the cause would quote it
        database = cls(address)
        try:
            if exclusive and database._file is not None:
                database._lock = ServiceLock.take(database._file, now=now)
            database._prepare(may_upgrade=exclusive)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One write transaction: when the block has ended all of it is on the disk; when it raises, none of it.

        After a StoreError at the very end a commit may yet have happened (a connection to PostgreSQL that broke):
        whoever keeps state in memory loads it again before going on.
        """
        with self._speaking(_WRITE), self._engine.begin() as connection:
            if self._check is not None:
                self._check(connection)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A look at one consistent state; writes nothing."""
        with self._speaking(_READ), self._engine.connect() as connection:
            yield as_reader(connection)

    @property
    def is_ours_alone(self) -> bool:
        """Whether no second service can have it open."""
        return self._file is not None

    def fenced(self, check: Callable[[Connection], None]) -> Self:
        """The same store, but every write transaction begins with `check`, which raises where none may be."""
        view = copy(self)
        view._check = check
        return view

    def close(self) -> None:
        """Close all connections and let others in."""
        with suppress(StoreError):
            if self._moved(_CLOSE):
                self._empty_wal()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def _prepare(self, *, may_upgrade: bool) -> None:
        """Check the schema, or bring it up to date."""
        if self._needs_upgrade():
            if not may_upgrade:
                raise outdated(self.place)
            with self._speaking(_OPEN), self._engine.begin() as connection:
                upgrade(connection)
        self._identity = self._present_identity(_OPEN)

    def _needs_upgrade(self) -> bool:
        if self._file is not None and self._present_identity(_OPEN) is None:
            return True  # to look into it would make it
        with self._speaking(_OPEN), self._engine.connect() as connection:
            return needs_upgrade(as_reader(connection), self.place)

    @contextmanager
    def _speaking(self, tried: str) -> Iterator[None]:
        """Errors become ours, and leave no connection behind that remembers them."""
        if self._moved(tried):
            self._empty_wal()
            raise StoreUnavailable(
                f"{tried}: {self.place}: the file was removed or replaced while in use; put it back, "
                "or restart the service to go on with what is there now"
            )
        try:
            with mapped(self.place, tried):
                yield
        except StoreError:
            self._engine.dispose()
            raise

    def _moved(self, tried: str) -> bool:
        return self._identity is not None and self._present_identity(tried) != self._identity

    def _empty_wal(self) -> None:
        """Bring home what waits beside a file that is no longer at its place, by the connections that still have it.

        SQLite would take it for the continuation of whatever file is put there next.
        """
        pool = self._engine.pool
        if not isinstance(pool, QueuePool) or not pool.checkedin():
            return  # a new connection would open what is there now
        with suppress(SQLAlchemyError, sqlite3.Error):
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def _present_identity(self, tried: str) -> tuple[int, int] | None:
        """Device and inode of what has the file's name now; None when nothing has, or for a server."""
        if self._file is None:
            return None
        try:
            status = os.stat(self._file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise from_system(self.place, tried, error) from error
        return status.st_dev, status.st_ino
