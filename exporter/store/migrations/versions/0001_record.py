"""The record: runs, pipelines, project names, how far the account has been read."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("project_id", sa.String, nullable=False),
        sa.Column("environment_name", sa.String, nullable=False),
        sa.Column("pipeline_name", sa.String, nullable=False),
        sa.Column("pipeline_type", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("status_text", sa.String, nullable=False),
        sa.Column("run_trigger", sa.String, nullable=False),
        sa.Column("run_user", sa.String, nullable=False),
        sa.Column("schedule_id", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("first_seen_at", sa.BigInteger, nullable=False),
        sa.Column("finished_seen_at", sa.BigInteger),
        sa.Column("cancelling_since", sa.BigInteger),
        sa.Column("missing_since", sa.BigInteger),
        sa.Column("vanished_at", sa.BigInteger),
        sa.Column("history", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
    )
    op.create_index("run_by_end", "run", ["ended_at"])
    unfinished = sa.text("finished_seen_at IS NULL")
    op.create_index("run_unfinished", "run", ["run_id"], sqlite_where=unfinished, postgresql_where=unfinished)
    failure = sa.text("status IN ('FAILED', 'FORBIDDEN')")
    op.create_index("run_failures", "run", ["ended_at"], sqlite_where=failure, postgresql_where=failure)
    op.create_table(
        "pipeline",
        sa.Column("project_id", sa.String, primary_key=True),
        sa.Column("environment_name", sa.String, primary_key=True),
        sa.Column("pipeline_name", sa.String, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "project",
        sa.Column("project_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
    )
    op.create_table(
        "cursor",
        sa.Column("k", sa.String, primary_key=True),
        sa.Column("v", sa.Text, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("a record is never turned back; restore a backup")
