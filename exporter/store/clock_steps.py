"""What waits for an instant that was never meant: our clock was wrong when it was written, and has been set back since.

A clock that was an hour fast would otherwise hold every alert for that hour. Must not begin or end transactions.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import BindParameter, bindparam, or_, select, update

from exporter.core.delivery import DOUBTFUL_EVERY, PROBE_EVERY, TOO_DOUBTFUL
from exporter.core.notice import DeliveryState
from exporter.store.outbox_schema import delivery, target
from exporter.store.schema import Instant

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

LONGEST_HOLD = timedelta(minutes=1)
"""More than a new message ever waits for what the failing step has to say."""


def has_left_behind(connection: Connection, *, now: datetime) -> bool:
    """Whether anything waits longer than it can have been told to."""
    times = _times(now)
    return any(connection.execute(statement, times).first() for statement in (_LATE_DELIVERIES, _HELD_TARGETS))


def bring_back(connection: Connection, *, now: datetime) -> int:
    """Let it wait no longer; how many deliveries and targets that were."""
    times = _times(now)
    return sum(connection.execute(statement, times).rowcount for statement in (_HURRY, _UNHOLD))


def _times(now: datetime) -> dict[str, datetime]:
    return {
        "now": now,
        "new_by": now + LONGEST_HOLD,
        "tried_by": now + PROBE_EVERY,
        "doubtful_by": now + DOUBTFUL_EVERY,
    }


def _instant(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=Instant)


_d = delivery.c
_too_late = (_d.state == DeliveryState.PENDING) & or_(
    (_d.attempts == 0) & (_d.next_at > _instant("new_by")),
    (_d.doubt < TOO_DOUBTFUL) & (_d.next_at > _instant("tried_by")),
    _d.next_at > _instant("doubtful_by"),
)
_held_too_long = target.c.held_until > _instant("tried_by")

_LATE_DELIVERIES = select(delivery.c.id).where(_too_late).limit(1)
_HELD_TARGETS = select(target.c.name).where(_held_too_long).limit(1)
_HURRY = update(delivery).where(_too_late).values(next_at=_instant("now"))
_UNHOLD = update(target).where(_held_too_long).values(held_until=_instant("now"))
