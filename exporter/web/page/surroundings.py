"""What stands around the runs: targets with their queues, silences, limits and what they match."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from exporter.metrics.labels import clean

if TYPE_CHECKING:
    from exporter.web.page.board import Facts

MATCHED_NOTHING_FOR = timedelta(days=7)
"""A limit that has had no run to watch for this long probably does not mean what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """How one target of alerts stands."""

    name: str
    waiting: int
    oldest_waiting_at: datetime | None
    dead_letters: int
    suspended: bool
    failing_since: datetime | None
    last_success_at: datetime | None
    reason: str | None  # what it said last; None unless it may be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRow:
    """A silence that holds. Author and comment are None unless they may be shown."""

    silence_id: str
    project: str
    environment: str
    pipeline: str
    starts_at: datetime
    ends_at: datetime
    author: str | None
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """A limit, and whether it matches anything. Spans are seconds."""

    name: str
    mode: str
    warn_after_seconds: float | None
    cancel_after_seconds: float | None
    matched_pipelines: int
    last_match_at: datetime | None  # when it last had a run to watch
    idle: bool  # it has matched nothing for seven days


def target_rows(facts: Facts, *, reveal: bool) -> tuple[TargetRow, ...]:
    """The targets of the config, those in trouble first."""
    rows = [
        TargetRow(
            name=clean(name),
            waiting=target.waiting,
            oldest_waiting_at=target.oldest_waiting_at,
            dead_letters=target.dead_letters,
            suspended=target.suspended,
            failing_since=target.failing_since,
            last_success_at=target.last_success_at,
            reason=clean(target.reason) if reveal and target.reason else None,
        )
        for name, target in facts.around.targets.items()
    ]
    return tuple(sorted(rows, key=lambda row: (not row.suspended, row.failing_since is None, row.name)))


def silence_rows(facts: Facts, *, reveal: bool) -> tuple[SilenceRow, ...]:
    """The silences that hold, those that end first coming first."""
    return tuple(
        SilenceRow(
            silence_id=silence.silence_id,
            project=clean(silence.project),
            environment=clean(silence.environment),
            pipeline=clean(silence.pipeline),
            starts_at=silence.starts_at,
            ends_at=silence.ends_at,
            author=clean(silence.author) if reveal else None,
            comment=clean(silence.comment) if reveal else None,
        )
        for silence in facts.around.silences
    )


def limit_rows(facts: Facts, now: datetime) -> tuple[LimitRow, ...]:
    """The limits in their order."""
    matched = facts.coverage.matched_pipelines(facts.snapshot.state.pipelines)
    return tuple(
        LimitRow(
            name=clean(rule.name),
            mode=rule.mode.value,
            warn_after_seconds=_seconds(rule.warn_after),
            cancel_after_seconds=_seconds(rule.cancel_after),
            matched_pipelines=len(matched[rule.name]),
            last_match_at=facts.limits.matched_at.get(rule.name),
            idle=_is_idle(facts.limits.matched_at.get(rule.name), now),
        )
        for rule in facts.coverage.rules
    )


def _is_idle(last_match_at: datetime | None, now: datetime) -> bool:
    return last_match_at is None or now - last_match_at > MATCHED_NOTHING_FOR


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
