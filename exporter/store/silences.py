"""The silences that people have set. Must not decide what they cover: `exporter.core.silences` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from exporter.core.silences import Silence
from exporter.store.outbox_schema import silence
from exporter.store.schema import Instant

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row


def add(connection: Connection, new: Silence) -> None:
    """Keep a silence; its id must be new."""
    connection.execute(
        _INSERT,
        {
            "id": new.silence_id,
            "project": new.project,
            "environment": new.environment,
            "pipeline": new.pipeline,
            "starts_at": new.starts_at,
            "ends_at": new.ends_at,
            "author": new.author,
            "comment": new.comment,
        },
    )


def active(connection: Connection, now: datetime) -> tuple[Silence, ...]:
    """The silences that hold at `now`, those that end first coming first."""
    return tuple(_silence(row) for row in connection.execute(_ACTIVE, {"now": now}))


def end(connection: Connection, silence_id: str, *, now: datetime) -> bool:
    """Let a silence end now; False where none of that id holds."""
    return connection.execute(_END, {"the_id": silence_id, "now": now}).rowcount > 0


def prune(connection: Connection, *, before: datetime) -> int:
    """Delete the silences that ended before; how many."""
    return connection.execute(_PRUNE, {"before": before}).rowcount


def _silence(row: Row[Any]) -> Silence:
    return Silence(
        silence_id=row.id,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        project=row.project,
        environment=row.environment,
        pipeline=row.pipeline,
        author=row.author,
        comment=row.comment,
    )


_now = bindparam("now", type_=Instant)
_INSERT = insert(silence)
_ACTIVE = (
    select(silence)
    .where(silence.c.starts_at <= _now, silence.c.ends_at > _now)
    .order_by(silence.c.ends_at, silence.c.id)
)
_END = update(silence).where(silence.c.id == bindparam("the_id"), silence.c.ends_at > _now).values(ends_at=_now)
_PRUNE = delete(silence).where(silence.c.ends_at < bindparam("before", type_=Instant))
