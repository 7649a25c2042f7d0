"""Opens the database and hands out transactions; everything else in `exporter.store` takes a connection.

SQLite runs with WAL and `synchronous=FULL`, and an OS lock lets in one service at a time (commands may look in beside
it). Must not know what the tables mean.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url

from exporter.store.errors import StoreLocked, StoreNewer, StoreUnavailable, mapped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Self

    from sqlalchemy.engine import Engine

HEAD = "0001"
"""The newest version in `migrations/versions`."""

_BUSY_SECONDS = 5.0


class Database:
    """One store; safe for several threads, each transaction on a connection of its own."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self.place = url.render_as_string(hide_password=True)
        self._path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        self._engine = _engine(url)
        self._lock: int | None = None
        self._file: tuple[int, int] | None = None  # device and inode of the SQLite file we opened

    @classmethod
    def open(cls, url: str, *, exclusive: bool, now: datetime | None = None) -> Self:
        """Open and, where needed, create or migrate the schema.

        `exclusive` is for the service: a second one raises StoreLocked, which names the first (`now` is written down
        for it). Raises StoreNewer, StoreCorrupt, StoreUnavailable.
        """
        database = cls(make_url(url))
        try:
            if exclusive:
                database._lock_out_others(now)
            database._migrate(create=exclusive)
            database._file = database._identity()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One write transaction: all of it is durable when the block has ended, or none of it."""
        with mapped(self.place, "write the record"):
            self._require_same_file()
            with self._engine.begin() as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A look at one consistent state; writes nothing."""
        with mapped(self.place, "read the record"):
            self._require_same_file()
            with self._engine.connect().execution_options(reading=True) as connection:
                yield connection

    def close(self) -> None:
        """Close all connections and let others in."""
        self._engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # How

    def _lock_out_others(self, now: datetime | None) -> None:
        if self._path is None:
            return
        lock_path = self._path.with_name(self._path.name + ".lock")
        with mapped(self.place, "open the record"):
            handle = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise StoreLocked(
                f"open the record: {self.place}: {holder} is using it; "
                "stop that service, or give this one another [store] url"
            ) from error
        self._lock = handle
        since = f", since {now:%Y-%m-%dT%H:%M:%SZ}" if now else ""
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"maia-exporter (pid {os.getpid()} on {socket.gethostname()}{since})\n".encode(), 0)

    def _migrate(self, *, create: bool) -> None:
        with mapped(self.place, "open the record"):
            if self._path is not None and not create and not self._path.exists():
                raise StoreUnavailable(f"open the record: {self.place}: no such file; has the service run with it?")
            with self._engine.connect() as connection:
                version = _version(connection)
            if version == HEAD:
                return
            if version is not None and version > HEAD:
                raise StoreNewer(
                    f"open the record: {self.place}: written by a later version (schema {version}, this one knows "
                    f"{HEAD}); run that version, or name another [store] url"
                )
            if not create:
                raise StoreUnavailable(
                    f"open the record: {self.place}: schema {version or 'none'}, this version needs {HEAD}; "
                    "start the service once, it brings the record up to date"
                )
            self._upgrade()

    def _upgrade(self) -> None:
        from alembic import command  # costs a quarter of a second: only when there is something to migrate
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _identity(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        status = os.stat(self._path)
        return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None

    def _require_same_file(self) -> None:
        """A file that was removed or replaced would take our writes to nowhere."""
        if self._file is None:
            return
        try:
            same = self._identity() == self._file
        except FileNotFoundError:
            same = False
        if not same:
            raise StoreUnavailable(
                f"write the record: {self.place}: the file was removed or replaced while in use; "
                "put it back, or restart to begin a new record"
            )


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes late and never for reads: we say it ourselves
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "journal_size_limit=67108864"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    # IMMEDIATE: two writers wait for each other at the start instead of failing in the middle.
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
