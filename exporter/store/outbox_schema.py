"""The tables of the outbox: what is to be told, to whom, what became of it. A change here needs a migration.

An event has one delivery per target; attempts are only ever added. A target's URL is never kept, only a hash of it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from exporter.store.schema import Instant, metadata

_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER

event = Table(
    "event",
    metadata,
    Column("seq", _Number, primary_key=True),  # the order in which they were found
    Column("event_id", String, nullable=False, unique=True),
    Column("event", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("project_id", String),  # NULL where it is about no pipeline
    Column("environment_name", String),
    Column("pipeline_name", String),
    Column("occurred_at", Instant, nullable=False),
    Column("detected_at", Instant, nullable=False),
    Column("notice", Text, nullable=False),  # JSON of Notice
    Column("detail", Text, nullable=False),  # the step that failed and its words, asked for afterwards
)
Index("event_by_pipeline", event.c.project_id, event.c.environment_name, event.c.pipeline_name, event.c.seq)
Index("event_by_run", event.c.run_id)
Index("event_by_detection", event.c.detected_at)

delivery = Table(
    "delivery",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("event_seq", _Number, ForeignKey("event.seq", ondelete="CASCADE"), nullable=False),
    Column("target", String, nullable=False),
    Column("state", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("suppressed_reason", String, nullable=False),
    Column("form", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("boot", String, nullable=False),  # the process that holds or last held the lease
    Column("leased_at", Instant),
    Column("ambiguous", Boolean, nullable=False),
    Column("doubt", Integer, nullable=False),
    Column("digest", String, nullable=False),
    Column("last_class", String, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("settled_at", Instant),  # when it was sent, given up or suppressed
    UniqueConstraint("event_seq", "target"),
)
_open = delivery.c.state.in_(("pending", "leased"))
Index("delivery_open", delivery.c.target, delivery.c.id, sqlite_where=_open, postgresql_where=_open)
_dead = delivery.c.state == "dead"
Index("delivery_dead", delivery.c.target, sqlite_where=_dead, postgresql_where=_dead)

attempt = Table(
    "attempt",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("delivery_id", _Number, ForeignKey("delivery.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("boot", String, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("outcome", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", String, nullable=False),
)
Index("attempt_by_delivery", attempt.c.delivery_id)

target = Table(
    "target",
    metadata,
    Column("name", String, primary_key=True),
    Column("fingerprint", String, nullable=False),  # a hash of its URL: another URL starts afresh
    Column("suspended", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("held_until", Instant),
    Column("failing_since", Instant),
    Column("failures", Integer, nullable=False),
    Column("slowed_until", Instant),
    Column("last_success_at", Instant),
    Column("sent_at", Text, nullable=False),  # JSON: microseconds of the sends of the last minute
    Column("dead_told_at", Instant),
)

silence = Table(
    "silence",
    metadata,
    Column("id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("pipeline", String, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("author", Text, nullable=False),
    Column("comment", Text, nullable=False),
)
Index("silence_by_end", silence.c.ends_at)

notification_count = Table(
    "notification_count",
    metadata,
    Column("counter", String, primary_key=True),  # sent, failed, suppressed
    Column("target", String, primary_key=True),  # "" for suppressed
    Column("label", String, primary_key=True),  # the event, or the reason
    Column("value", BigInteger, nullable=False),
)
