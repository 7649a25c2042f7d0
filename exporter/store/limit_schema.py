"""The tables of the limits: runs past theirs, what was asked of the API, the breaker. A change needs a migration.

A run has at most one request a mode, ever: the key says so, and `version` lets two writers clash instead of both win.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from exporter.store.schema import Instant, metadata

limited_run = Table(
    "limited_run",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("environment_name", String, nullable=False),
    Column("pipeline_name", String, nullable=False),
    Column("run_trigger", String, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("limit_name", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("over_at", Instant, nullable=False),
    Column("closed_at", Instant),  # when its end was seen
)
OPEN = limited_run.c.closed_at.is_(None)
Index("limited_run_open", limited_run.c.run_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index("limited_run_closed", limited_run.c.closed_at)

cancel_request = Table(
    "cancel_request",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("mode", String, primary_key=True),  # polite, force
    Column("version", Integer, nullable=False),
    Column("answer", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("first_sent_at", Instant),
    Column("detail", Text, nullable=False),
    Column("rule", Text, nullable=False),  # JSON of LimitRule
)

limit_count = Table(
    "limit_count",
    metadata,
    Column("project_id", String, primary_key=True),
    Column("environment_name", String, primary_key=True),
    Column("pipeline_name", String, primary_key=True),
    Column("counts", Text, nullable=False),  # JSON of LimitCounts
)

limit_match = Table(
    "limit_match",
    metadata,
    Column("limit_name", String, primary_key=True),
    Column("matched_at", Instant, nullable=False),  # to the hour: when it last had a run to watch
)

breaker = Table(
    "breaker",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # always 1
    Column("opened_at", Instant),
    Column("asked_at", Text, nullable=False),  # JSON: the requests of the last hour
)
