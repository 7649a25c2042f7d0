"""Who is sending what: takes waiting deliveries under a lease, and writes down what became of them.

A lease ends when the attempt is settled, or when the next process finds it. The fence is a number that grows with every
lease: who comes back late with an old one changes nothing. Must not send, nor begin or end transactions.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BindParameter, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from exporter.core.delivery import (
    TOO_DOUBTFUL,
    Form,
    News,
    Outcome,
    OutcomeClass,
    Standing,
    TargetHealth,
    TargetNews,
    ends_an_outage,
    message_after,
    news_of,
    pace,
    recently,
    target_after,
)
from exporter.core.notice import DeliveryState, EventKind, Notice
from exporter.store import outbox
from exporter.store.claims import Claim as Claim
from exporter.store.claims import Leased as Leased
from exporter.store.claims import Wait as Wait
from exporter.store.outbox_schema import delivery, event, target
from exporter.store.schema import Instant, instant, micros

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

_CANDIDATES = 200
"""How many waiting messages are offered to one digest; more than fit into any."""

_SLOWED = 4
"""A target that asked us to slow down gets this fraction of its rate for a while."""

_decode_instants = msgspec.json.Decoder(list[int]).decode


def begin_target(connection: Connection, name: str, *, fingerprint: str, now: datetime) -> None:
    """Know a target. With another fingerprint (its URL has changed) it starts afresh."""
    row = connection.execute(_TARGET, {"the_target": name}).one_or_none()
    if row is not None and row.fingerprint == fingerprint:
        return
    last_success_at = row.last_success_at if row else None
    values = _health_row(TargetHealth(last_success_at=last_success_at))
    insert = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name].insert(target)
    connection.execute(
        insert.values(
            name=name, fingerprint=fingerprint, sent_at=row.sent_at if row else "[]", **values
        ).on_conflict_do_update(index_elements=["name"], set_={"fingerprint": fingerprint, **values})
    )
    connection.execute(_HURRY, {"the_target": name, "now": now, "most_doubt": _ANY_DOUBT})


def probe_now(connection: Connection, name: str, *, now: datetime) -> None:
    """Try a target at once that is held or suspended: a person has asked for it."""
    connection.execute(_UNHOLD, {"the_target": name, "now": now})


def recover(connection: Connection, *, boot: str, now: datetime) -> int:
    """Take back what other processes were sending when they died; each may have arrived. How many deliveries."""
    rows = connection.execute(_ABANDONED, {"boot": boot}).all()
    if not rows:
        return 0
    reason = "the process ended while it was sending"
    connection.execute(_TAKE_BACK, [{"the_id": row.id, "now": now, "reason": reason} for row in rows])
    outbox.add_attempts(
        connection,
        [
            {
                "delivery_id": row.id,
                "number": row.attempts,
                "boot": row.boot,
                "started_at": row.leased_at,
                "ended_at": now,
                "outcome": OutcomeClass.INTERRUPTED,
                "detail": reason,
                "digest": row.digest,
            }
            for row in rows
        ],
    )
    messages = Counter(name for name, _ in {(row.target, row.digest or row.id) for row in rows})
    outbox.count(
        connection, {(outbox.FAILED, name, OutcomeClass.INTERRUPTED): number for name, number in messages.items()}
    )
    return len(rows)


def claim(
    connection: Connection,
    name: str,
    *,
    boot: str,
    now: datetime,
    per_minute: int,
    fold: Callable[[Sequence[Notice]], int],
) -> Claim | Wait:
    """Take the next message to a target; what exceeds its rate is taken together, as much as `fold` says fits."""
    row = connection.execute(_TARGET.with_for_update(), {"the_target": name}).one()
    health = _health(row)
    if health.held_until is not None and health.held_until > now:
        return Wait(health.held_until)
    sent_at = tuple(instant(value) for value in _decode_instants(row.sent_at))
    slowed = health.slowed_until is not None and health.slowed_until > now
    slots, next_slot = pace(sent_at, per_minute=max(1, per_minute // _SLOWED) if slowed else per_minute, now=now)
    if not slots:
        return Wait(next_slot)
    rows = connection.execute(_DUE, {"the_target": name, "now": now, "limit": _CANDIDATES}).all()
    if not rows:
        return Wait(connection.execute(_NEXT_DUE, {"the_target": name}).scalar())
    items, digest = _together(connection, rows, fold=fold, slots=1 if health.failing else slots, failing=health.failing)
    sent = [micros(at) for at in (*recently(sent_at, now=now), now)]
    connection.execute(_SENT_AT, {"the_target": name, "sent": msgspec.json.encode(sent).decode()})
    return _lease(connection, items, target_name=name, digest=digest, boot=boot, now=now)


def due_at(connection: Connection, name: str) -> datetime | None:
    """When there is something to do for a target, as far as waiting and its health go; None when nothing waits."""
    waits_until: datetime | None = connection.execute(_NEXT_DUE, {"the_target": name}).scalar()
    if waits_until is None:
        return None
    held_until: datetime | None = connection.execute(_HELD_UNTIL, {"the_target": name}).scalar()
    return waits_until if held_until is None else max(waits_until, held_until)


def claim_one(connection: Connection, event_id: str, name: str, *, boot: str, now: datetime) -> Claim | None:
    """Take one certain delivery, whatever its target's health; None when it does not wait."""
    found = connection.execute(_ONE, {"the_target": name, "the_event": event_id}).one_or_none()
    if found is None:
        return None
    return _lease(connection, [found], target_name=name, digest="", boot=boot, now=now)


def settle(
    connection: Connection,
    claimed: Claim,
    outcome: Outcome,
    *,
    now: datetime,
    pause: Callable[[int], timedelta],
) -> tuple[TargetNews, ...] | None:
    """Write down what became of a claim, and what it says about the target: what is worth telling others about it.

    None when the lease was not ours any more, so that nothing was written.
    """
    name = claimed.target
    row = connection.execute(_TARGET.with_for_update(), {"the_target": name}).one()
    before = _health(row)
    after = target_after(outcome, before, now=now, pause=pause)
    ends = [message_after(outcome.outcome, item.before, now=now, target=after) for item in claimed.items]
    settled = connection.execute(
        _SETTLE,
        [
            {**_end_row(end, outcome, now=now), "the_id": item.id, "our_fence": item.fence}
            for item, end in zip(claimed.items, ends, strict=True)
        ],
    )
    if settled.rowcount == 0:
        return None
    _set_health(connection, name, after)
    outbox.add_attempts(connection, [_attempt_row(claimed, item, outcome, now=now) for item in claimed.items])
    _count(connection, claimed, outcome)
    if before.failing and not after.failing:
        most = _ANY_DOUBT if ends_an_outage(before, after, now=now) else TOO_DOUBTFUL - 1
        connection.execute(_HURRY, {"the_target": name, "now": now, "most_doubt": most})
    news = list(news_of(name, before, after, now=now))
    if any(end.state is DeliveryState.DEAD for end in ends):
        news.extend(_dead_letters(connection, row, outcome, now=now))
    return tuple(news)


def health_of(connection: Connection, name: str) -> TargetHealth | None:
    """How a target does; None when it is not known."""
    row = connection.execute(_TARGET, {"the_target": name}).one_or_none()
    return None if row is None else _health(row)


# How


def _together(
    connection: Connection,
    rows: Sequence[Row[Any]],
    *,
    fold: Callable[[Sequence[Notice]], int],
    slots: int,
    failing: bool,
) -> tuple[Sequence[Row[Any]], str]:
    """Which of the due rows go out as one message, and the digest's name where there is more than one."""
    first = rows[0]
    if first.digest:  # one that was sent, or perhaps: the same again
        return connection.execute(
            _OF_DIGEST, {"the_target": first.target, "the_digest": first.digest}
        ).all(), first.digest
    foldable = [row for row in rows if _foldable(row)]
    if failing or len(foldable) <= slots or not _foldable(first):
        return [first], ""
    fit = max(1, fold([outbox.decode_notice(row.notice) for row in foldable]))
    if fit == 1:
        return [first], ""
    return foldable[:fit], f"digest-{first.id}-{first.attempts + 1}"


def _foldable(row: Row[Any]) -> bool:
    return row.form == Form.FULL and not row.ambiguous and not row.digest


def _lease(
    connection: Connection, rows: Sequence[Row[Any]], *, target_name: str, digest: str, boot: str, now: datetime
) -> Claim:
    connection.execute(_LEASE, [{"the_id": row.id, "the_digest": digest, "the_boot": boot, "now": now} for row in rows])
    items = tuple(
        Leased(
            id=row.id,
            event_id=row.event_id,
            notice=outbox.decode_notice(row.notice),
            detail=row.detail,
            attempt=row.attempts + 1,
            fence=row.fence + 1,
            before=Standing(
                state=DeliveryState.LEASED,
                next_at=row.next_at,
                form=Form(row.form),
                ambiguous=row.ambiguous,
                doubt=row.doubt,
                digest=digest,
            ),
        )
        for row in rows
    )
    return Claim(target=target_name, boot=boot, items=items, digest=digest, claimed_at=now)


def _end_row(end: Standing, outcome: Outcome, *, now: datetime) -> dict[str, Any]:
    return {
        "to_state": end.state,
        "to_next": end.next_at,
        "to_form": end.form,
        "to_ambiguous": end.ambiguous,
        "to_doubt": end.doubt,
        "to_digest": end.digest,
        "to_class": outcome.outcome,
        "to_error": outcome.reason,
        "to_settled": None if end.state is DeliveryState.PENDING else now,
    }


def _attempt_row(claimed: Claim, item: Leased, outcome: Outcome, *, now: datetime) -> dict[str, Any]:
    return {
        "delivery_id": item.id,
        "number": item.attempt,
        "boot": claimed.boot,
        "started_at": claimed.claimed_at,
        "ended_at": now,
        "outcome": outcome.outcome,
        "detail": outcome.reason,
        "digest": claimed.digest,
    }


def _count(connection: Connection, claimed: Claim, outcome: Outcome) -> None:
    if outcome.outcome is not OutcomeClass.SENT:
        outbox.count(connection, {(outbox.FAILED, claimed.target, outcome.outcome): 1})
        return
    kinds: Counter[EventKind] = Counter(item.notice.event for item in claimed.items)
    outbox.count(connection, {(outbox.SENT, claimed.target, kind): number for kind, number in kinds.items()})


def _dead_letters(connection: Connection, row: Row[Any], outcome: Outcome, *, now: datetime) -> list[TargetNews]:
    """Tell of dead letters once an hour at most: they come in swarms."""
    if row.dead_told_at is not None and now - row.dead_told_at < _TELL_OF_DEAD_EVERY:
        return []
    connection.execute(_DEAD_TOLD, {"the_target": row.name, "now": now})
    number = connection.execute(_DEAD_LETTERS, {"the_target": row.name}).scalar_one()
    return [TargetNews(news=News.DEAD_LETTERS, target=row.name, at=now, reason=outcome.reason, dead_letters=number)]


_HEALTH_COLUMNS = ("suspended", "reason", "held_until", "failing_since", "failures", "slowed_until", "last_success_at")


def _health(row: Row[Any]) -> TargetHealth:
    return TargetHealth(**{column: getattr(row, column) for column in _HEALTH_COLUMNS})


def _health_row(health: TargetHealth) -> dict[str, Any]:
    return {column: getattr(health, column) for column in _HEALTH_COLUMNS}


def _set_health(connection: Connection, name: str, health: TargetHealth) -> None:
    connection.execute(update(target).where(target.c.name == name).values(**_health_row(health)))


# Statements, built once.

_TELL_OF_DEAD_EVERY = timedelta(hours=1)
_ANY_DOUBT = 2**31 - 1

_d = delivery.c
_now = bindparam("now", type_=Instant)
_the_target: BindParameter[str] = bindparam("the_target")
_waits = (_d.target == _the_target) & (_d.state == DeliveryState.PENDING)
_with_event = select(delivery, event.c.event_id, event.c.notice, event.c.detail).join_from(delivery, event)

_TARGET = select(target).where(target.c.name == _the_target)
_HELD_UNTIL = select(target.c.held_until).where(target.c.name == _the_target)
_UNHOLD = update(target).where(target.c.name == _the_target, target.c.held_until > _now).values(held_until=_now)
_SENT_AT = update(target).where(target.c.name == _the_target).values(sent_at=bindparam("sent"))
_DEAD_TOLD = update(target).where(target.c.name == _the_target).values(dead_told_at=_now)
_DUE = _with_event.where(_waits, _d.next_at <= _now).order_by(_d.id).limit(bindparam("limit"))
_OF_DIGEST = _with_event.where(_waits, _d.digest == bindparam("the_digest")).order_by(_d.id)
_ONE = _with_event.where(_waits, event.c.event_id == bindparam("the_event"))
_NEXT_DUE = select(func.min(_d.next_at)).where(_waits)
_DEAD_LETTERS = select(func.count()).where(_d.target == _the_target, _d.state == DeliveryState.DEAD)
_HURRY = (
    update(delivery)
    .where(_waits, _d.attempts > 0, _d.next_at > _now, _d.doubt <= bindparam("most_doubt"))
    .values(next_at=_now)
)
_LEASE = (
    update(delivery)
    .where(_d.id == bindparam("the_id"), _d.state == DeliveryState.PENDING)
    .values(
        state=DeliveryState.LEASED,
        attempts=_d.attempts + 1,
        fence=_d.fence + 1,
        boot=bindparam("the_boot"),
        digest=bindparam("the_digest"),
        leased_at=_now,
    )
)
_SETTLE = (
    update(delivery)
    .where(_d.id == bindparam("the_id"), _d.fence == bindparam("our_fence"), _d.state == DeliveryState.LEASED)
    .values(
        state=bindparam("to_state"),
        next_at=bindparam("to_next"),
        form=bindparam("to_form"),
        ambiguous=bindparam("to_ambiguous"),
        doubt=bindparam("to_doubt"),
        digest=bindparam("to_digest"),
        last_class=bindparam("to_class"),
        last_error=bindparam("to_error"),
        settled_at=bindparam("to_settled"),
    )
)
_ABANDONED = select(delivery).where(_d.state == DeliveryState.LEASED, _d.boot != bindparam("boot"))
_TAKE_BACK = (
    update(delivery)
    .where(_d.id == bindparam("the_id"), _d.state == DeliveryState.LEASED)
    .values(
        state=DeliveryState.PENDING,
        ambiguous=True,
        next_at=_now,
        last_class=OutcomeClass.INTERRUPTED,
        last_error=bindparam("reason"),
    )
)
