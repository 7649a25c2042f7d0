"""Who leads among the replicas on one PostgreSQL: a row that says who, by which fence, until when.

Time is the database's, for everybody. Whoever slept past its lease finds another's fence, in the very transaction in
which it would have written. Works on the caller's connection; on SQLite a lock lets one service in instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Integer, String, Table, text

from exporter.store.errors import NotLeading
from exporter.store.schema import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

leader = Table(
    "leader",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("owner", String, nullable=False),
    Column("fence", BigInteger, nullable=False),  # grows with every change of hands
    Column("expires_at", BigInteger, nullable=False),  # microseconds since 1970, by the database's clock
)

IDLE_SECONDS = 5
"""How long a fenced transaction may be idle: it keeps others from leading, also when its process has been stopped."""


def is_free(connection: Connection) -> bool:
    """Whether nobody leads."""
    return not connection.execute(_HELD).scalar()


def take(connection: Connection, owner: str, *, seconds: float) -> int | None:
    """Lead for so long, if nobody does; the fence, or None. Waits for transactions of whoever has led before."""
    values = {"owner": owner, "lease": round(seconds * 1_000_000)}
    fence: int | None = connection.execute(_TAKE, values).scalar()
    return fence


def renew(connection: Connection, owner: str, fence: int, *, seconds: float) -> bool:
    """Lead on for so long from now; whether we still do."""
    values = {"owner": owner, "fence": fence, "lease": round(seconds * 1_000_000)}
    return connection.execute(_RENEW, values).rowcount == 1


def release(connection: Connection, owner: str, fence: int) -> None:
    """Let somebody else lead, now."""
    connection.execute(_RENEW, {"owner": owner, "fence": fence, "lease": 0})


def confirm(connection: Connection, owner: str, fence: int) -> None:
    """Make sure that we lead until this transaction ends: nobody can begin to before. Raises NotLeading."""
    values = {"owner": owner, "fence": fence, "idle": f"{IDLE_SECONDS}s"}
    if connection.execute(_CONFIRM, values).one_or_none() is None:
        raise NotLeading("write the record: the time to lead has passed, and another replica may lead by now")


# Statements, built once. The clock is read anew wherever a row was waited for.

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_OURS = "id = 1 AND owner = :owner AND fence = :fence"
_HELD = text(f"SELECT 1 FROM leader WHERE id = 1 AND expires_at > {_NOW}")
_TAKE = text(
    f"INSERT INTO leader (id, owner, fence, expires_at) VALUES (1, :owner, 1, {_NOW} + :lease) "
    f"ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, fence = leader.fence + 1, expires_at = {_NOW} + :lease "
    f"WHERE leader.expires_at <= {_NOW} RETURNING fence"
)
_RENEW = text(f"UPDATE leader SET expires_at = {_NOW} + :lease WHERE {_OURS}")
_CONFIRM = text(
    "SELECT set_config('idle_in_transaction_session_timeout', :idle, true) FROM leader "
    f"WHERE {_OURS} AND expires_at > {_NOW} FOR SHARE"
)
