"""What can go wrong with the store, shaped by what the caller does about it.

StoreError
├── StoreUnavailable   full, read-only, locked, gone: may pass by itself; try again with the same object
├── StoreCorrupt       the file is no database, or a damaged one: a person must restore or remove it
├── StoreNewer         a later version has written it: this one must not touch it
└── StoreLocked        another service uses it: end this one
"""

# ruff: noqa: N818 - the leaves are named as people name them; the root says that they are errors
from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError, SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Iterator


class StoreError(Exception):
    """The record could not be read or written; the text says where, what, and what to do."""


class StoreUnavailable(StoreError):
    """It may pass by itself."""


class StoreCorrupt(StoreError):
    """What is there cannot be read."""


class StoreNewer(StoreError):
    """What is there belongs to a later version."""


class StoreLocked(StoreError):
    """Another service has it."""


_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space; nothing is lost, and it goes on by itself",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only: give this user write access",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: does its folder exist, and may this user write there?",
    sqlite3.SQLITE_BUSY: "another process holds the file locked",
    sqlite3.SQLITE_IOERR: "reading or writing the file failed: look at the disk",
}


@contextmanager
def mapped(place: str, tried: str) -> Iterator[None]:
    """Turn what SQLAlchemy and the drivers raise into a StoreError, once; `place` carries no password."""
    try:
        yield
    except DBAPIError as error:
        raise _error(place, tried, error) from error
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"{tried}: {place}: {error}") from error
    except OSError as error:
        raise StoreUnavailable(f"{tried}: {place}: {error.strerror or error}") from error


def _error(place: str, tried: str, error: DBAPIError) -> StoreError:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    if code in _CORRUPT:
        return StoreCorrupt(
            f"{tried}: {place}: {reason}; the file is damaged or no database: "
            "restore it from a backup, or move it away to start anew (counters begin at 0)"
        )
    hint = _HINTS.get(code, "is the database up and reachable?" if isinstance(error, OperationalError) else "")
    kind = StoreUnavailable if isinstance(error, DatabaseError) else StoreError
    return kind(f"{tried}: {place}: {reason}" + (f"; {hint}" if hint else ""))
