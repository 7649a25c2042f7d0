"""Words what is to be told about ourselves: polls that fail, targets that do, runs that may have been missed.

Each has an id that is the same however often, and by whichever process, the same thing is found. Must not decide
when that is, or whom to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.core.durations import format_duration
from exporter.core.notice import EventKind, Fact, Notice
from exporter.core.run_notice import instant_text

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.core.events import RunsPossiblyMissed


def polls_fail_id(last_good_at: datetime | None, *, since: datetime) -> str:
    """The id of an outage: it begins with the last good poll (`Cursor.polled_at`), whoever notices it.

    Before the first good poll ever it begins with the first that failed, `since`.
    """
    return _event_id("polls_fail", last_good_at or since)


def polls_fail(*, since: datetime, last_good_at: datetime | None, cause: str, error: str, now: datetime) -> Notice:
    """Polls have failed since `since` for `exporter_after` or longer; `error` is the last one's text."""
    good = instant_text(last_good_at) if last_good_at else "none yet"
    return _notice(
        polls_fail_id(last_good_at, since=since),
        "the Maia API cannot be read",
        Fact(label="what", value=f"every poll has failed for {format_duration(now - since)}"),
        Fact(label="means", value="nobody is told of runs that fail, and no limit is enforced, until polls work again"),
        Fact(label="since", value=instant_text(since)),
        Fact(label="last good poll", value=good),
        Fact(label="cause", value=cause),
        Fact(label="error", value=error),
        occurred_at=since,
        detected_at=now,
    )


def polls_work(*, since: datetime, last_good_at: datetime | None, now: datetime) -> Notice:
    """The outage that began with the same `last_good_at` and `since` is over."""
    return _notice(
        _event_id("polls_work", last_good_at or since),
        "the Maia API can be read again",
        Fact(label="what", value=f"polls work again; they failed for {format_duration(now - since)}"),
        Fact(label="means", value="what ended in the meantime is being read, and told marked late"),
        Fact(label="since", value=instant_text(since)),
        occurred_at=now,
        detected_at=now,
    )


def target_suspended(target: str, *, reason: str, at: datetime) -> Notice:
    """A target refuses everything, so that its messages wait."""
    return _notice(
        _event_id(f"target_suspended:{target}", at),
        f"target {target} is suspended",
        Fact(label="what", value=f"target {target} accepts nothing: {reason}"),
        Fact(label="means", value="its messages wait, nobody reads them there; it is tried every 15 minutes"),
        Fact(label="do", value="mend its url in the config, or what it points to"),
        occurred_at=at,
        detected_at=at,
    )


def target_back(target: str, *, since: datetime | None, at: datetime) -> Notice:
    """A target that was suspended works again."""
    after = f" after {format_duration(at - since)}" if since else ""
    return _notice(
        _event_id(f"target_back:{target}", at),
        f"target {target} works again",
        Fact(label="what", value=f"target {target} accepts messages again{after}; those that waited go out now"),
        occurred_at=at,
        detected_at=at,
    )


def dead_letters(target: str, *, count: int, reason: str, at: datetime) -> Notice:
    """A target has refused messages for good."""
    messages = "a message" if count == 1 else f"{count} messages"
    return _notice(
        _event_id(f"dead_letters:{target}", at),
        f"target {target} refuses {messages}",
        Fact(label="what", value=f"target {target} has refused {messages} for good: {reason}"),
        Fact(label="means", value="what they say has not been read there"),
        Fact(label="do", value="maia-exporter alerts list --state dead, then alerts retry"),
        occurred_at=at,
        detected_at=at,
    )


def runs_possibly_missed(event: RunsPossiblyMissed, *, detected_at: datetime) -> Notice:
    """We were away for longer than `[poll] lookback`."""
    return _notice(
        _event_id("runs_possibly_missed", event.since),
        "runs may have been missed",
        Fact(label="what", value="polls failed, or we were down, for longer than [poll] lookback"),
        Fact(label="means", value="a run that failed in this time may never be told: look at it in Maia"),
        Fact(label="from", value=instant_text(event.since)),
        Fact(label="to", value=instant_text(event.until)),
        occurred_at=event.until,
        detected_at=detected_at,
    )


def target_test(target: str, *, at: datetime) -> Notice:
    """Somebody wants to see whether a target works."""
    return _notice(
        f"exporter:EXPORTER:test:{target}:{at.isoformat()}",
        f"a test of target {target}",
        Fact(label="what", value="somebody ran maia-exporter alerts test; nothing is wrong"),
        occurred_at=at,
        detected_at=at,
    )


def _event_id(kind: str, at: datetime) -> str:
    return f"exporter:EXPORTER:{kind}:{instant_text(at)}"


def _notice(event_id: str, subject: str, *facts: Fact, occurred_at: datetime, detected_at: datetime) -> Notice:
    return Notice(
        event_id=event_id,
        event=EventKind.EXPORTER,
        occurred_at=occurred_at,
        detected_at=detected_at,
        subject=subject,
        facts=facts,
    )
