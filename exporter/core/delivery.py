"""What an answer of a target means for the message it was about, and for the target: the one place of these rules.

Pure: `exporter.store.outbox` keeps what comes out, `exporter.notifier` acts on it. Must not know what Apprise is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from exporter.core.messages import BODY_LIMIT, TITLE_LIMIT
from exporter.core.notice import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class OutcomeClass(StrEnum):
    """How one attempt went, by what we do about it: `last_class` of a row, `reason` of the failure metric."""

    SENT = "sent"
    THROTTLED = "throttled"  # too many: wait, and go slower
    POISON = "poison"  # this message is not accepted
    TARGET_BROKEN = "target_broken"  # nothing is accepted until a person does something
    UNAVAILABLE = "unavailable"  # nothing was taken over; later it may be
    SERVER_ERROR = "server_error"  # answered with an error; perhaps it was delivered all the same
    AMBIGUOUS = "ambiguous"  # handed over, and no usable answer
    INTERRUPTED = "interrupted"  # we died while sending


FAILURES = tuple(outcome for outcome in OutcomeClass if outcome is not OutcomeClass.SENT)
"""Everything but success, in the order of the metric's label values."""

MAYBE_SENT = (OutcomeClass.SERVER_ERROR, OutcomeClass.AMBIGUOUS, OutcomeClass.INTERRUPTED)
"""After one of these the next copy says that it is perhaps a repeat."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt went. `reason` is for people, short, and made of our own words: no secret can be in it."""

    outcome: OutcomeClass
    reason: str = ""


class Tone(StrEnum):
    """What colour a message has, where a service knows colours."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


class Room(NamedTuple):
    """How many characters a target takes; by default as many as Slack does."""

    title: int = TITLE_LIMIT
    body: int = BODY_LIMIT


class Form(StrEnum):
    """How a message goes out."""

    FULL = "full"  # alone, or in a digest when there are many
    ALONE = "alone"  # never again in a digest: one that it was in was refused
    MINIMAL = "minimal"  # as little as can be, after its full form was refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one message to one target stands, before or after an attempt."""

    state: DeliveryState
    next_at: datetime
    form: Form = Form.FULL
    ambiguous: bool = False  # an earlier copy may have arrived
    doubt: int = 0  # grows with each answer that leaves open whether a copy arrived
    digest: str = ""  # the digest it was sent in, "" for none


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """How a target does. A suspended one is probed now and then; all others only wait until `held_until`."""

    suspended: bool = False
    reason: str = ""  # why it is suspended or failing
    held_until: datetime | None = None  # nothing is sent to it before
    failing_since: datetime | None = None
    failures: int = 0  # in a row
    slowed_until: datetime | None = None  # told to go slower: until then a quarter of its rate
    last_success_at: datetime | None = None

    @property
    def failing(self) -> bool:
        """Whether only one message at a time tries whether it works again."""
        return self.suspended or self.failing_since is not None


PROBE_EVERY = timedelta(minutes=15)
"""How often a suspended target is tried."""

THROTTLED_FOR = timedelta(seconds=60)
LONGEST_THROTTLED = timedelta(minutes=10)
SLOWED_FOR = timedelta(minutes=10)

DOUBT = {OutcomeClass.AMBIGUOUS: 10, OutcomeClass.SERVER_ERROR: 1}
"""An error is an answer, and weighs little: a target that says so for an hour is retried at its usual pace."""
TOO_DOUBTFUL = 50
"""Five ambiguous answers: from then on a copy an hour, lest a target that never confirms is flooded."""
DOUBTFUL_EVERY = timedelta(hours=1)

REAL_OUTAGE = timedelta(minutes=10)
"""After one at least this long, what was too doubtful is tried at once: it was the target, not the message."""


def message_after(outcome: OutcomeClass, before: Standing, *, now: datetime, target: TargetHealth) -> Standing:
    """Where a message stands after an attempt; `target` is the target's health after it."""
    if outcome is OutcomeClass.SENT:
        return replace(before, state=DeliveryState.SENT)
    if outcome is OutcomeClass.POISON:
        return _refused(before, now)
    doubt = before.doubt + DOUBT.get(outcome, 0)
    too_doubtful = outcome in DOUBT and doubt >= TOO_DOUBTFUL
    return replace(
        before,
        state=DeliveryState.PENDING,
        next_at=now + DOUBTFUL_EVERY if too_doubtful else target.held_until or now,
        ambiguous=before.ambiguous or outcome in MAYBE_SENT,
        doubt=doubt,
    )


def _refused(before: Standing, now: datetime) -> Standing:
    """Once more in minimal form; of a digest each message by itself first, so that only the bad one dies."""
    if before.form is Form.MINIMAL:
        return replace(before, state=DeliveryState.DEAD)
    form = Form.ALONE if before.digest else Form.MINIMAL
    return replace(before, state=DeliveryState.PENDING, next_at=now, form=form, digest="")


def target_after(
    outcome: Outcome, before: TargetHealth, *, now: datetime, pause: Callable[[int], timedelta]
) -> TargetHealth:
    """How a target does after an attempt; `pause` is how long to wait after so many failures in a row."""
    match outcome.outcome:
        case OutcomeClass.SENT:
            return TargetHealth(last_success_at=now, slowed_until=before.slowed_until)
        case OutcomeClass.POISON:  # it works: it has read the message and does not want it
            return TargetHealth(last_success_at=before.last_success_at, slowed_until=before.slowed_until)
        case OutcomeClass.TARGET_BROKEN:
            suspended = True
        case _:
            suspended = before.suspended
    failures = before.failures + 1
    throttled = outcome.outcome is OutcomeClass.THROTTLED
    if suspended:
        wait = PROBE_EVERY
    elif throttled:
        wait = min(THROTTLED_FOR * 2 ** min(before.failures, 10), LONGEST_THROTTLED)
    else:
        wait = pause(failures)
    return replace(
        before,
        suspended=suspended,
        reason=outcome.reason,
        held_until=now + wait,
        failing_since=before.failing_since or now,
        failures=failures,
        slowed_until=now + wait + SLOWED_FOR if throttled else before.slowed_until,
    )


def ends_an_outage(before: TargetHealth, after: TargetHealth, *, now: datetime) -> bool:
    """Whether the target has recovered from something long enough to have been its own fault."""
    since = before.failing_since
    return since is not None and not after.failing and now - since >= REAL_OUTAGE


class News(StrEnum):
    """What the other targets are to hear about one."""

    SUSPENDED = "suspended"
    BACK = "back"
    DEAD_LETTERS = "dead_letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetNews:
    """Something to be told to the other targets."""

    news: News
    target: str
    at: datetime
    reason: str = ""  # why it is suspended, or why the message was refused
    since: datetime | None = None  # BACK: since when it had been suspended
    dead_letters: int = 0  # DEAD_LETTERS: how many it has by now


def news_of(target: str, before: TargetHealth, after: TargetHealth, *, now: datetime) -> tuple[TargetNews, ...]:
    """What a change of health is worth telling."""
    if after.suspended and not before.suspended:
        return (TargetNews(news=News.SUSPENDED, target=target, at=now, reason=after.reason),)
    if before.suspended and not after.suspended:
        return (TargetNews(news=News.BACK, target=target, at=now, since=before.failing_since),)
    return ()


def pace(sent_at: tuple[datetime, ...], *, per_minute: int, now: datetime) -> tuple[int, datetime]:
    """How many messages may go out now, and when the next one may when that is none.

    Never more than `per_minute` in any 60 s. Above half of it they are spaced out, so that what comes after a burst
    waits seconds, not the rest of the minute. `sent_at` are the starts of the sends of the last minute, ascending.
    """
    recent = recently(sent_at, now=now)
    burst = -(-per_minute // 2)
    if len(recent) < burst:
        return burst - len(recent), now
    if len(recent) >= per_minute:
        return 0, recent[-per_minute] + _MINUTE
    gap_ends = recent[-1] + _MINUTE / per_minute
    return (1, now) if gap_ends <= now else (0, gap_ends)


def recently(sent_at: tuple[datetime, ...], *, now: datetime) -> tuple[datetime, ...]:
    """Those of the last minute; an instant in the future, after the clock was set back, does not count."""
    return tuple(at for at in sent_at if now - _MINUTE < at <= now)


_MINUTE = timedelta(minutes=1)
