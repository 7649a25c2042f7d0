"""The two kinds of store, what can go wrong with each, and what a dead service was sending when it died.

The record is read as a copy, so that looking at it does not mend it.
"""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from store.server import PostgreSQL

_DELIVERIES = "SELECT e.event_id, d.target FROM delivery d JOIN event e ON e.seq = d.event_seq WHERE d.state IN "
LEASED = _DELIVERIES + "('leased')"
OPEN = _DELIVERIES + "('pending', 'leased')"
EVENTS = "SELECT event_id FROM event"
OUTAGES = EVENTS + " WHERE event_id LIKE 'exporter:EXPORTER:polls_fail:%'"


class SqliteStore:
    """A file on a small disk of its own, where we may mount one."""

    name = "SQLite"
    replicas = 1
    secret = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "disk"
        self._copy = folder / "copy"
        self._folder.mkdir()
        self._copy.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(self._folder)]
        self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        self.url = f"sqlite:///{self._folder / 'maia-exporter.db'}"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        for file in self._copy.iterdir():
            file.unlink()
        for file in self._folder.glob("maia-exporter.db*"):
            if file.suffix != ".lock" and file.suffix != ".db-shm":
                shutil.copyfile(file, self._copy / file.name)
        database = sqlite3.connect(self._copy / "maia-exporter.db")
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # it has not been made yet
                return []
            raise
        finally:
            database.close()

    def fill(self) -> None:
        """Not a byte is free."""
        with (self._folder / "ballast").open("wb", buffering=0) as ballast:
            while free := shutil.disk_usage(self._folder).free:
                try:
                    ballast.write(bytes(free))
                except OSError:
                    return

    def empty(self) -> None:
        (self._folder / "ballast").unlink(missing_ok=True)

    def content(self) -> Iterator[bytes]:
        """All that it keeps."""
        for file in self._folder.glob("maia-exporter.db*"):
            yield file.read_bytes()

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", self._folder], check=True)


class PostgresStore:
    """A database of a server of its own."""

    name = "PostgreSQL"
    mounted = False

    def __init__(self, server: PostgreSQL, *, replicas: int) -> None:
        self.server = server
        self.replicas = replicas
        self.secret = secrets.token_hex(12)
        self.url = server.new_database().replace(":secret@", f":{self.secret}@")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        import psycopg

        address = self.url.replace("postgresql+psycopg", "postgresql")
        try:
            with psycopg.connect(address) as connection:
                return connection.execute(query.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return []

    def content(self) -> Iterator[bytes]:
        names = [name for (name,) in self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for name in names:
            for row in self.rows(f'SELECT * FROM "{name}"'):
                yield repr(row).encode()

    def close(self) -> None:
        """It goes with its server."""


@contextmanager
def opened(kind: str, folder: Path, *, replicas: int) -> Iterator[SqliteStore | PostgresStore]:
    """A store for one campaign."""
    if kind == "postgresql":
        with PostgreSQL() as server:
            yield PostgresStore(server, replicas=replicas)
        return
    store = SqliteStore(folder)
    try:
        yield store
    finally:
        store.close()
