"""What the outbox holds, for people and for metrics. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from exporter.core.notice import DeliveryState
from exporter.store import outbox
from exporter.store.outbox_schema import attempt, delivery, event, notification_count, target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime, timedelta
    from typing import Any

    from sqlalchemy import Connection, Row, Select

    from exporter.core.notice import Notice

_SHOWN_AS = {DeliveryState.LEASED: DeliveryState.PENDING}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One delivery as people see it. A leased one is still pending to them."""

    id: int
    event_id: str
    run_id: str
    event: str
    target: str
    state: DeliveryState
    sending: bool
    attempts: int
    next_at: datetime | None  # when it is tried next; None unless pending
    last_class: str
    last_error: str
    why: str
    suppressed_reason: str
    possible_repeat: bool
    detected_at: datetime
    settled_at: datetime | None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt at a delivery."""

    number: int
    started_at: datetime
    ended_at: datetime
    outcome: str
    detail: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEvent:
    """Everything about one event: why who was told, or not."""

    notice: Notice
    detail: str
    deliveries: tuple[tuple[DeliveryRow, tuple[AttemptRow, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStanding:
    """How one target stands."""

    waiting: int = 0
    oldest_waiting_at: datetime | None = None
    dead_letters: int = 0
    suspended: bool = False
    reason: str = ""
    failing_since: datetime | None = None
    held_until: datetime | None = None
    last_success_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the notification metrics and the page say: counters since the first start, and every target as it is."""

    sent: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by target and event
    failed: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by target and reason
    suppressed: Mapping[str, int] = field(default_factory=dict)  # by reason
    targets: Mapping[str, TargetStanding] = field(default_factory=dict)


def standing(connection: Connection, targets: Collection[str]) -> Standing:
    """The counters, and how these targets stand."""
    counters: dict[str, dict[tuple[str, str], int]] = {outbox.SENT: {}, outbox.FAILED: {}, outbox.SUPPRESSED: {}}
    for row in connection.execute(_COUNTS):
        counters[row.counter][row.target, row.label] = row.value
    waiting = {row.target: row for row in connection.execute(_WAITING)}
    dead = {row.target: row.number for row in connection.execute(_DEAD)}
    health = {row.name: row for row in connection.execute(_TARGETS)}
    return Standing(
        sent=counters[outbox.SENT],
        failed=counters[outbox.FAILED],
        suppressed={label: value for (_, label), value in counters[outbox.SUPPRESSED].items()},
        targets={name: _target(health.get(name), waiting.get(name), dead.get(name, 0)) for name in targets},
    )


def overdue(connection: Connection, targets: Collection[str], *, now: datetime, after: timedelta) -> int:
    """How many deliveries to these targets have waited for longer than `after`."""
    number: int = connection.execute(
        select(func.count())
        .select_from(delivery.join(event))
        .where(_open, delivery.c.target.in_(list(targets)), event.c.detected_at < now - after)
    ).scalar_one()
    return number


def listed(
    connection: Connection, *, states: Collection[DeliveryState] = (), target_name: str = "", limit: int | None = None
) -> Iterator[DeliveryRow]:
    """The deliveries, newest first; `states` as people see them."""
    query = _LISTED.order_by(delivery.c.id.desc()).limit(limit)
    if states:
        wanted = [*states, *(kept for kept, shown in _SHOWN_AS.items() if shown in states)]
        query = query.where(delivery.c.state.in_(wanted))
    if target_name:
        query = query.where(delivery.c.target == target_name)
    return (_row(row) for row in connection.execute(query))


def shown(connection: Connection, event_id: str) -> ShownEvent | None:
    """All there is about an event, or None."""
    found = connection.execute(select(event).where(event.c.event_id == event_id)).one_or_none()
    if found is None:
        return None
    query = _LISTED.where(delivery.c.event_seq == found.seq).order_by(delivery.c.id)
    rows = [_row(row) for row in connection.execute(query)]
    attempts: dict[int, list[AttemptRow]] = {row.id: [] for row in rows}
    for row in connection.execute(
        select(attempt).where(attempt.c.delivery_id.in_(attempts.keys())).order_by(attempt.c.id)
    ):
        attempts[row.delivery_id].append(
            AttemptRow(
                number=row.number,
                started_at=row.started_at,
                ended_at=row.ended_at,
                outcome=row.outcome,
                detail=row.detail,
                digest=row.digest,
            )
        )
    return ShownEvent(
        notice=outbox.decode_notice(found.notice),
        detail=found.detail,
        deliveries=tuple((row, tuple(attempts[row.id])) for row in rows),
    )


def find_event_ids(connection: Connection, run_id: str) -> list[str]:
    """The events about a run, in the order in which they were found."""
    return list(
        connection.execute(select(event.c.event_id).where(event.c.run_id == run_id).order_by(event.c.seq)).scalars()
    )


def _target(health: Row[Any] | None, waiting: Row[Any] | None, dead: int) -> TargetStanding:
    found = TargetStanding(
        waiting=waiting.number if waiting else 0,
        oldest_waiting_at=waiting.oldest_at if waiting else None,
        dead_letters=dead,
    )
    if health is None:
        return found
    return TargetStanding(
        waiting=found.waiting,
        oldest_waiting_at=found.oldest_waiting_at,
        dead_letters=found.dead_letters,
        suspended=health.suspended,
        reason=health.reason,
        failing_since=health.failing_since,
        held_until=health.held_until,
        last_success_at=health.last_success_at,
    )


def _row(row: Row[Any]) -> DeliveryRow:
    kept = DeliveryState(row.state)
    state = _SHOWN_AS.get(kept, kept)
    return DeliveryRow(
        id=row.id,
        event_id=row.event_id,
        run_id=row.run_id,
        event=row.event,
        target=row.target,
        state=state,
        sending=kept is DeliveryState.LEASED,
        attempts=row.attempts,
        next_at=_next_at(row, state),
        last_class=row.last_class,
        last_error=row.last_error,
        why=row.why,
        suppressed_reason=row.suppressed_reason,
        possible_repeat=row.ambiguous,
        detected_at=row.detected_at,
        settled_at=row.settled_at,
        digest=row.digest,
    )


def _next_at(row: Row[Any], state: DeliveryState) -> datetime | None:
    """A message waits for its own turn and for its target's."""
    if state is not DeliveryState.PENDING:
        return None
    own_turn: datetime = row.next_at
    return own_turn if row.held_until is None else max(own_turn, row.held_until)


_open = delivery.c.state.in_(outbox.OPEN)
_COUNTS = select(notification_count)
_TARGETS = select(target)
_WAITING: Select[Any] = (
    select(delivery.c.target, func.count().label("number"), func.min(event.c.detected_at).label("oldest_at"))
    .join_from(delivery, event)
    .where(_open)
    .group_by(delivery.c.target)
)
_DEAD: Select[Any] = (
    select(delivery.c.target, func.count().label("number"))
    .where(delivery.c.state == DeliveryState.DEAD)
    .group_by(delivery.c.target)
)
_LISTED = (
    select(delivery, event.c.event_id, event.c.run_id, event.c.event, event.c.detected_at, target.c.held_until)
    .join_from(delivery, event)
    .join(target, target.c.name == delivery.c.target, isouter=True)
)
