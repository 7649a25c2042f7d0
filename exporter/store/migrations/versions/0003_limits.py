"""The limits: runs past theirs, what was asked of the API, counters, the breaker."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limited_run",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("project_id", sa.String, nullable=False),
        sa.Column("environment_name", sa.String, nullable=False),
        sa.Column("pipeline_name", sa.String, nullable=False),
        sa.Column("run_trigger", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("limit_name", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("over_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
    )
    open_ = sa.text("closed_at IS NULL")
    op.create_index("limited_run_open", "limited_run", ["run_id"], sqlite_where=open_, postgresql_where=open_)
    op.create_index("limited_run_closed", "limited_run", ["closed_at"])
    op.create_table(
        "cancel_request",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("mode", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("answer", sa.String, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("first_sent_at", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
    )
    op.create_table(
        "limit_count",
        sa.Column("project_id", sa.String, primary_key=True),
        sa.Column("environment_name", sa.String, primary_key=True),
        sa.Column("pipeline_name", sa.String, primary_key=True),
        sa.Column("counts", sa.Text, nullable=False),
    )
    op.create_table(
        "limit_match",
        sa.Column("limit_name", sa.String, primary_key=True),
        sa.Column("matched_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "breaker",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("opened_at", sa.BigInteger),
        sa.Column("asked_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("a record is never turned back; restore a backup")
