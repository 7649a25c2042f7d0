"""How each of the two databases is spoken to: connections, durability, where transactions begin.

Must not know the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import ArgumentError

from exporter.store.errors import StoreError, place_of

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

_BUSY_SECONDS = 5.0  # how long one transaction waits for another process's
_SERVER = {
    "connect_timeout": 5,
    # A server that is gone without a word is noticed in about ten seconds, not in two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

_PRAGMAS = (
    "journal_mode = WAL",  # commands read while the service writes
    "synchronous = FULL",  # a commit is on the disk before anything is sent: an alert is worth one fsync
    "foreign_keys = ON",
    "cache_size = -16000",  # 16 MB at most: ids are looked up all over a large index
    "wal_autocheckpoint = 4000",  # 16 MB: pages of that index are written back once, not once a commit
    "journal_size_limit = 67108864",  # 64 MB: gives the space of an unusually large transaction back
)


def is_sqlite(url: URL) -> bool:
    """Whether the store is a file, not a server."""
    return url.get_backend_name() == "sqlite"


def engine_for(url: URL) -> Engine:
    """An engine that has not connected yet. Raises StoreError for a URL that is no store's."""
    sqlite = is_sqlite(url)
    options: dict[str, Any] = {"timeout": _BUSY_SECONDS} if sqlite else dict(_SERVER)
    options = {name: value for name, value in options.items() if name not in url.query}
    try:
        # hide_parameters: users and messages of runs are in no error text.
        engine = create_engine(url, connect_args=options, hide_parameters=True, pool_pre_ping=not sqlite)
    except ArgumentError as error:
        raise StoreError(f"open the record: {place_of(url)}: {error}; see [store] url") from error
    except ModuleNotFoundError as error:
        raise StoreError(
            f"open the record: {place_of(url)}: the driver {error.name} is not installed; "
            "install it beside maia-exporter, or name a sqlite:/// [store] url"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def as_reader(connection: Connection) -> Connection:
    """The connection, whose transaction is a look at one consistent state; before anything was asked of it."""
    if connection.dialect.name == "sqlite":
        return connection.execution_options(sqlite_begin="BEGIN")
    # In words of our own: the driver's option says READ WRITE afterwards, whatever the server's administrator wants.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    return connection


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes late and never for reads: we say it ourselves
    cursor = connection.cursor()
    try:
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: two writers wait for each other at the start instead of failing in the middle.
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))
