"""What can go wrong with the store, shaped by what the caller does about it.

StoreError             neither of these: a mistake of this program; report it
├── StoreUnavailable   full, read-only, locked, gone: may pass by itself; try again with the same object
├── StoreCorrupt       damaged, or not ours: a person must restore or remove it
├── StoreNewer         a later version has written it: this one must not touch it
├── StoreLocked        another service uses it: end this one
└── NotLeading         another replica leads: do nothing, stand by

Texts say what we tried, where, why it failed and what to do; a URL's password is in none of them.
"""

# ruff: noqa: N818 - the leaves are named as people name them; the root says that they are errors
from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError, TimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL


class StoreError(Exception):
    """The record could not be read or written; the text says where, what, and what to do."""


class StoreUnavailable(StoreError):
    """It may pass by itself: nothing is lost, try again later."""


class StoreCorrupt(StoreError):
    """What is there cannot be read."""


class StoreNewer(StoreError):
    """What is there belongs to a later version."""


class StoreLocked(StoreError):
    """Another service has it."""


class NotLeading(StoreError):
    """Another replica leads, or may: nothing was written, and nothing may be done."""


_RESTORE = "restore it from a backup, or move it away to start anew (counters begin at 0)"
_WRITE_ACCESS = "give this user write access to the file, to what is beside it (-wal, -shm, .lock), and to the folder"
_FREE_SPACE = "free some space: nothing is lost, and it goes on by itself"

_SQLITE_HINTS = {
    sqlite3.SQLITE_FULL: _FREE_SPACE,
    sqlite3.SQLITE_READONLY: _WRITE_ACCESS,
    sqlite3.SQLITE_PERM: _WRITE_ACCESS,
    sqlite3.SQLITE_CANTOPEN: "does its folder exist, and may this user write there?",
    sqlite3.SQLITE_BUSY: "another process holds it locked: it goes on when that one has finished",
    sqlite3.SQLITE_LOCKED: "another process holds it locked: it goes on when that one has finished",
    sqlite3.SQLITE_PROTOCOL: "is it on a network disk? Those cannot lock a file reliably",
    sqlite3.SQLITE_IOERR: "is the disk full or failing?",
    sqlite3.SQLITE_NOMEM: "give this process more memory",
}
_OS_HINTS = {
    errno.ENOENT: "create the folder, or name another [store] url",
    errno.ENOTDIR: "name another [store] url",
    errno.EACCES: _WRITE_ACCESS,
    errno.EPERM: _WRITE_ACCESS,
    errno.EROFS: "make the disk writable, or name another [store] url",
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
}
_SQLITE_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SQLITE_LOST_TABLES = ("no such table", "no such column")  # SQLite has one code for all that is wrong with a statement
_SQLITE_NO_TEXT = "Could not decode to UTF-8"  # followed by the column, and by the text, which is nobody's business
_POSTGRESQL_LOST_TABLES = ("42P01", "42703", "3F000")  # undefined table, column, schema
_POSTGRESQL_HINTS = {
    "42501": "grant this user access to the schema's tables",
    "25006": "the database takes no writes now: is it a standby?",
    "53100": _FREE_SPACE,
}


def place_of(url: URL) -> str:
    """Where the store is, for people: a file's path, or an address without password and options."""
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def mapped(place: str, tried: str) -> Iterator[None]:
    """Turn what SQLAlchemy, the driver and the system raise into a StoreError, once."""
    try:
        yield
    except DBAPIError as error:
        raise _from_driver(f"{tried}: {place}", error) from error
    except TimeoutError as error:
        raise StoreUnavailable(f"{tried}: {place}: all connections are in use: it goes on when one is free") from error
    except SQLAlchemyError as error:
        raise StoreError(f"{tried}: {place}: {error}; this is a mistake in maia-exporter: please report it") from error


def from_system(place: str, tried: str, error: OSError) -> StoreUnavailable:
    """What the operating system refused, as an error with a hint."""
    hint = _OS_HINTS.get(error.errno or 0, "look at the disk")
    return StoreUnavailable(f"{tried}: {place}: {error.strerror or error}; {hint}")


def damaged(place: str, tried: str, reason: str) -> StoreCorrupt:
    """What is there is not what we wrote."""
    return StoreCorrupt(f"{tried}: {place}: {reason}; {_RESTORE}")


def _from_driver(what: str, error: DBAPIError) -> StoreError:
    reason = str(error.orig).strip().partition("\n")[0] or type(error.orig).__name__
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error.orig, sqlite3.Error):
        # The lowest byte is the kind, the others say which variety; what Python itself finds wrong has none.
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        lost = code in _SQLITE_DAMAGED or reason.startswith((*_SQLITE_LOST_TABLES, _SQLITE_NO_TEXT))
        reason = reason.partition(" with text ")[0] if reason.startswith(_SQLITE_NO_TEXT) else reason
        hint = _SQLITE_HINTS.get(code)
    else:
        lost = state in _POSTGRESQL_LOST_TABLES
        passing = isinstance(error, OperationalError | InternalError | InterfaceError)
        hint = _POSTGRESQL_HINTS.get(state or "", "is the database up and reachable?" if passing else None)
    if lost:
        return StoreCorrupt(f"{what}: {reason}; {_RESTORE}")
    if hint is None:
        return StoreError(f"{what}: {reason}; this is a mistake in maia-exporter: please report it")
    return StoreUnavailable(f"{what}: {reason}; {hint}")
