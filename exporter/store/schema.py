"""The tables, as this version knows them. A change here needs a migration in `migrations/versions`.

Instants are microseconds since 1970 in UTC; values that only Python reads are JSON. What a migration must find as it
was (column names, kinds) is written down there once more.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Index, MetaData, String, Table, Text, TypeDecorator, text

from exporter.store.errors import damaged

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY = 86_400


def instant(value: int) -> datetime:
    """The aware instant of microseconds since 1970. Raises StoreCorrupt for what never was one."""
    try:
        return _EPOCH + timedelta(microseconds=value)
    except (OverflowError, TypeError) as error:  # SQLite keeps a text in a column of numbers, if it is given one
        raise damaged("the store", "read the record", f"{value!r} is no instant") from error


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant, exactly."""
    since = instant - _EPOCH
    return (since.days * _SECONDS_A_DAY + since.seconds) * 1_000_000 + since.microseconds


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant, kept as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        del dialect
        return None if value is None else micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        del dialect
        return None if value is None else instant(value)


metadata = MetaData()

run = Table(
    "run",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("environment_name", String, nullable=False),
    Column("pipeline_name", String, nullable=False),
    Column("pipeline_type", String, nullable=False),
    Column("status", String, nullable=False),
    Column("status_text", String, nullable=False),
    Column("run_trigger", String, nullable=False),  # TRIGGER is a word of SQL
    Column("run_user", String, nullable=False),  # so is USER
    Column("schedule_id", String, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("message", Text, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("finished_seen_at", Instant),
    Column("cancelling_since", Instant),
    Column("missing_since", Instant),
    Column("vanished_at", Instant),
    Column("history", Boolean, nullable=False),
    Column("ended_at", Instant, nullable=False),  # end, else start, else first seen: sorts and prunes
)
# None by pipeline: it would double what a first read of a hundred thousand runs costs, and nothing hot asks for it.
Index("run_by_end", run.c.ended_at)

UNFINISHED = run.c.finished_seen_at.is_(None)
Index("run_unfinished", run.c.run_id, sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)

# As text: a bound parameter would hide from SQLite that the index answers the question.
FAILURE = text("status IN ('FAILED', 'FORBIDDEN')")
Index("run_failures", run.c.ended_at, sqlite_where=FAILURE, postgresql_where=FAILURE)

pipeline = Table(
    "pipeline",
    metadata,
    Column("project_id", String, primary_key=True),
    Column("environment_name", String, primary_key=True),
    Column("pipeline_name", String, primary_key=True),
    Column("state", Text, nullable=False),  # JSON of exporter.core.state.PipelineState
)

project = Table(
    "project",
    metadata,
    Column("project_id", String, primary_key=True),
    Column("name", String, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("k", String, primary_key=True),
    Column("v", Text, nullable=False),  # JSON
)
