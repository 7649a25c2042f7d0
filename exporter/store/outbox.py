"""The outbox: what is to be told, written in the transaction that found it. Every function works on that connection.

Must not begin or end transactions, send anything, nor decide who is told what. Sending is `exporter.store.leases`,
looking `exporter.store.outbox_views`.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Integer, bindparam, delete, exists, func, insert, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from exporter.core.delivery import Form
from exporter.core.notice import DeliveryState, EventKind, Notice, Suppression
from exporter.store.outbox_schema import attempt, delivery, event, notification_count
from exporter.store.schema import Instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Executable

    from exporter.core.model import PipelineKey
    from exporter.core.notice import Decision, Dispatch

SENT, FAILED, SUPPRESSED = "sent", "failed", "suppressed"
"""The counters of `notification_count`."""

OPEN = (DeliveryState.PENDING, DeliveryState.LEASED)
"""States of what is not settled yet."""

_TOLD = (*OPEN, DeliveryState.SENT)
_BROKEN = (EventKind.FAILED, EventKind.FORBIDDEN, EventKind.OVERDUE)
_AT_ONCE = 500
_NO_HOLD = timedelta(0)

decode_notice = msgspec.json.Decoder(Notice).decode


def record(
    connection: Connection, decisions: Sequence[Decision], *, now: datetime, hold: timedelta = _NO_HOLD
) -> tuple[Decision, ...]:
    """Write what was decided; those that were new, because each event is written once, whoever finds it again.

    `hold` is how long the deliveries wait for `add_detail` or `release`; counters rise by what is written.
    """
    by_id = {decision.notice.event_id: decision for decision in decisions}
    fresh = _new_events(connection, [decision.notice for decision in by_id.values()])
    new = tuple(decision for event_id, decision in by_id.items() if event_id in fresh)
    rows = [
        _delivery_row(fresh[decision.notice.event_id], dispatch, now=now, next_at=now + hold)
        for decision in new
        for dispatch in decision.dispatches
    ]
    if rows:
        connection.execute(_for(connection, _INSERT_DELIVERY), rows)
    suppressed = Counter(
        dispatch.suppressed for decision in new for dispatch in decision.dispatches if dispatch.suppressed
    )
    count(connection, {(SUPPRESSED, "", reason): number for reason, number in suppressed.items()})
    return new


def add_detail(connection: Connection, event_id: str, text: str, *, now: datetime) -> None:
    """Add the words of the step that failed to what has not been sent yet, and let it go."""
    connection.execute(_ADD_DETAIL, {"the_event": event_id, "text": text})
    release(connection, (event_id,), now=now)


def release(connection: Connection, event_ids: Iterable[str], *, now: datetime) -> None:
    """Wait no longer for details of these events."""
    for some in _in_chunks(event_ids):
        connection.execute(_RELEASE, {"ids": some, "now": now})


def told(connection: Connection, pipelines: Collection[PipelineKey]) -> Mapping[PipelineKey, frozenset[str]]:
    """The targets that know that a pipeline is broken: a message since its last RECOVERED was sent, or still waits."""
    found: dict[PipelineKey, frozenset[str]] = {}
    for key in pipelines:
        rows = connection.execute(
            _TOLD_OF,
            {"project": key.project_id, "environment": key.environment_name, "pipeline": key.pipeline_name},
        )
        if targets := frozenset(rows.scalars()):
            found[key] = targets
    return found


def has_expired(connection: Connection, *, now: datetime, max_age: timedelta) -> bool:
    """Whether `expire` would find something."""
    return connection.execute(_TOO_OLD.limit(1), {"before": now - max_age}).first() is not None


def expire(connection: Connection, *, now: datetime, max_age: timedelta) -> int:
    """Give up what was found longer than `max_age` ago and still waits; how many deliveries."""
    ids = list(connection.execute(_TOO_OLD, {"before": now - max_age}).scalars())
    for some in _in_chunks(ids):
        connection.execute(_EXPIRE, {"ids": some, "now": now})
    count(connection, {(SUPPRESSED, "", Suppression.EXPIRED): len(ids)})
    return len(ids)


def retry_dead(
    connection: Connection, *, now: datetime, event_ids: Collection[str] = (), target: str | None = None
) -> int:
    """Send dead letters once more, in full; all of them, or those of some events or of one target. How many."""
    events = select(event.c.seq).where(event.c.event_id.in_(list(event_ids)))
    statement = (
        update(delivery)
        .where(delivery.c.state == DeliveryState.DEAD)
        .values(state=DeliveryState.PENDING, form=Form.ALONE, next_at=now, settled_at=None, digest="", doubt=0)
    )
    if event_ids:
        statement = statement.where(delivery.c.event_seq.in_(events))
    if target is not None:
        statement = statement.where(delivery.c.target == target)
    return connection.execute(statement).rowcount


def prune(connection: Connection, *, before: datetime, limit: int) -> int:
    """Delete at most `limit` events that were found before `before` and wait for nobody; how many. Counters stay."""
    seqs = list(connection.execute(_PRUNABLE, {"before": before, "limit": limit}).scalars())
    for some in _in_chunks(seqs):
        connection.execute(_DELETE_EVENTS, {"ids": some})
    return len(seqs)


def count(connection: Connection, numbers: Mapping[tuple[str, str, str], int]) -> None:
    """Let counters rise; keys are (counter, target, label)."""
    rows = [
        {"counter": counter, "target": target, "label": label, "value": number}
        for (counter, target, label), number in numbers.items()
        if number
    ]
    if rows:
        connection.execute(_for(connection, _COUNT), rows)


def add_attempts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append to the history of attempts."""
    if rows:
        connection.execute(_INSERT_ATTEMPT, list(rows))


# Rows


def _new_events(connection: Connection, notices: Sequence[Notice]) -> dict[str, int]:
    """Insert the events that are not there yet: their numbers by their ids."""
    if not notices:
        return {}
    inserted = connection.execute(_for(connection, _INSERT_EVENT), list(map(_event_row, notices)))
    return {row.event_id: row.seq for row in inserted}


def _event_row(notice: Notice) -> dict[str, Any]:
    key = notice.pipeline
    return {
        "event_id": notice.event_id,
        "event": notice.event,
        "run_id": notice.run_id,
        "project_id": key.project_id if key else None,
        "environment_name": key.environment_name if key else None,
        "pipeline_name": key.pipeline_name if key else None,
        "occurred_at": notice.occurred_at,
        "detected_at": notice.detected_at,
        "notice": msgspec.json.encode(notice).decode(),
        "detail": "",
    }


def _delivery_row(event_seq: int, dispatch: Dispatch, *, now: datetime, next_at: datetime) -> dict[str, Any]:
    suppressed = dispatch.suppressed
    return {
        "event_seq": event_seq,
        "target": dispatch.target,
        "state": DeliveryState.SUPPRESSED if suppressed else DeliveryState.PENDING,
        "why": dispatch.why,
        "suppressed_reason": suppressed or "",
        "form": Form.FULL,
        "attempts": 0,
        "next_at": next_at,
        "fence": 0,
        "boot": "",
        "ambiguous": False,
        "doubt": 0,
        "digest": "",
        "last_class": "",
        "last_error": "",
        "settled_at": now if suppressed else None,
    }


def _in_chunks(values: Iterable[Any]) -> Iterable[list[Any]]:
    """SQLite takes a limited number of parameters in one statement."""
    everything = list(values)
    return (everything[start : start + _AT_ONCE] for start in range(0, len(everything), _AT_ONCE))


# Statements, built once.


def _for(connection: Connection, statements: Mapping[str, Executable]) -> Executable:
    return statements[connection.dialect.name]


_DIALECTS = (("sqlite", sqlite), ("postgresql", postgresql))
_INSERT_EVENT: dict[str, Executable] = {
    name: dialect.insert(event).on_conflict_do_nothing().returning(event.c.seq, event.c.event_id)
    for name, dialect in _DIALECTS
}
_INSERT_DELIVERY: dict[str, Executable] = {
    name: dialect.insert(delivery).on_conflict_do_nothing() for name, dialect in _DIALECTS
}


def _counting(dialect: Any) -> Executable:
    statement = dialect.insert(notification_count)
    rises: Executable = statement.on_conflict_do_update(
        index_elements=["counter", "target", "label"],
        set_={"value": notification_count.c.value + statement.excluded.value},
    )
    return rises


_COUNT = {name: _counting(dialect) for name, dialect in _DIALECTS}
_INSERT_ATTEMPT = insert(attempt)
_ids: Any = bindparam("ids", expanding=True)
_now = bindparam("now", type_=Instant)
_ADD_DETAIL = update(event).where(event.c.event_id == bindparam("the_event")).values(detail=bindparam("text"))
_RELEASE = (
    update(delivery)
    .where(
        delivery.c.event_seq.in_(select(event.c.seq).where(event.c.event_id.in_(_ids))),
        delivery.c.state == DeliveryState.PENDING,
        delivery.c.attempts == 0,
        delivery.c.next_at > _now,
    )
    .values(next_at=_now)
)
_of_pipeline = (
    (event.c.project_id == bindparam("project"))
    & (event.c.environment_name == bindparam("environment"))
    & (event.c.pipeline_name == bindparam("pipeline"))
)
_last_recovery = (
    select(func.coalesce(func.max(event.c.seq), 0))
    .where(_of_pipeline, event.c.event == EventKind.RECOVERED)
    .scalar_subquery()
)
_TOLD_OF = (
    select(delivery.c.target)
    .distinct()
    .join_from(event, delivery)
    .where(
        _of_pipeline,
        event.c.event.in_(_BROKEN),
        event.c.seq > type_coerce(_last_recovery, Integer),
        delivery.c.state.in_(_TOLD),
    )
)
_TOO_OLD = (
    select(delivery.c.id)
    .join_from(delivery, event)
    .where(delivery.c.state == DeliveryState.PENDING, event.c.detected_at < bindparam("before", type_=Instant))
)
_EXPIRE = (
    update(delivery)
    .where(delivery.c.id.in_(_ids), delivery.c.state == DeliveryState.PENDING)
    .values(state=DeliveryState.SUPPRESSED, suppressed_reason=Suppression.EXPIRED, settled_at=_now)
)
_waits = exists().where(delivery.c.event_seq == event.c.seq, delivery.c.state.in_(OPEN))
_PRUNABLE = (
    select(event.c.seq)
    .where(event.c.detected_at < bindparam("before", type_=Instant), ~_waits)
    .order_by(event.c.detected_at)
    .limit(bindparam("limit"))
)
_DELETE_EVENTS = delete(event).where(event.c.seq.in_(_ids))
