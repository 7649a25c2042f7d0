"""The outbox: events, deliveries and their attempts, targets, silences, and the counters of all that."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("event_id", sa.String, nullable=False, unique=True),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("project_id", sa.String),
        sa.Column("environment_name", sa.String),
        sa.Column("pipeline_name", sa.String),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("detected_at", sa.BigInteger, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("event_by_pipeline", "event", ["project_id", "environment_name", "pipeline_name", "seq"])
    op.create_index("event_by_run", "event", ["run_id"])
    op.create_index("event_by_detection", "event", ["detected_at"])
    op.create_table(
        "delivery",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("event_seq", NUMBER, sa.ForeignKey("event.seq", ondelete="CASCADE"), nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("suppressed_reason", sa.String, nullable=False),
        sa.Column("form", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("leased_at", sa.BigInteger),
        sa.Column("ambiguous", sa.Boolean, nullable=False),
        sa.Column("doubt", sa.Integer, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("last_class", sa.String, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
        sa.UniqueConstraint("event_seq", "target"),
    )
    open_ = sa.text("state IN ('pending', 'leased')")
    op.create_index("delivery_open", "delivery", ["target", "id"], sqlite_where=open_, postgresql_where=open_)
    dead = sa.text("state = 'dead'")
    op.create_index("delivery_dead", "delivery", ["target"], sqlite_where=dead, postgresql_where=dead)
    op.create_table(
        "attempt",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("delivery_id", NUMBER, sa.ForeignKey("delivery.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
    )
    op.create_index("attempt_by_delivery", "attempt", ["delivery_id"])
    op.create_table(
        "target",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("suspended", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("held_until", sa.BigInteger),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("slowed_until", sa.BigInteger),
        sa.Column("last_success_at", sa.BigInteger),
        sa.Column("sent_at", sa.Text, nullable=False),
        sa.Column("dead_told_at", sa.BigInteger),
    )
    op.create_table(
        "silence",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("environment", sa.String, nullable=False),
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
    )
    op.create_index("silence_by_end", "silence", ["ends_at"])
    op.create_table(
        "notification_count",
        sa.Column("counter", sa.String, primary_key=True),
        sa.Column("target", sa.String, primary_key=True),
        sa.Column("label", sa.String, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("a record is never turned back; restore a backup")
