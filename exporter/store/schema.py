"""The tables, as this version knows them. A change here needs a migration in `migrations/versions`.

Instants are microseconds since 1970 in UTC; values that only Python reads are JSON.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Float, Index, MetaData, String, Table, Text, TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The aware instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


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
    Column(
        "ended_at", Instant, nullable=False
    ),  # end, else start, else first sight: what runs are sorted and pruned by
)
Index("run_by_pipeline", run.c.project_id, run.c.environment_name, run.c.pipeline_name, run.c.ended_at)
Index("run_by_end", run.c.ended_at)
Index(
    "run_unfinished",
    run.c.run_id,
    sqlite_where=run.c.finished_seen_at.is_(None),
    postgresql_where=run.c.finished_seen_at.is_(None),
)

pipeline = Table(
    "pipeline",
    metadata,
    Column("project_id", String, primary_key=True),
    Column("environment_name", String, primary_key=True),
    Column("pipeline_name", String, primary_key=True),
    Column("last_success_at", Float),  # Unix seconds, for people who look; the state below is what is read
    Column("state", Text, nullable=False),  # JSON of PipelineState
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
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)
