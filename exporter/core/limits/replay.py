"""What limits would have done to runs that are past: seeing before acting. Must not change anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.core.durations import format_duration
from exporter.core.limits.rules import LimitRule, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from exporter.core.limits.rules import Coverage
    from exporter.core.model import PipelineKey, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A recorded run that has a start: how long it took, or has gone on for."""

    run_id: str
    pipeline: PipelineKey
    trigger: Trigger
    started_at: datetime
    took: timedelta
    status: str  # in the API's spelling


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRuns:
    """What the record holds since some day: how many runs of each kind, and one by one those that took long."""

    counts: Mapping[tuple[PipelineKey, Trigger], int]
    newest: Mapping[tuple[PipelineKey, Trigger], datetime]  # when the newest of them was first of use: its start
    long: tuple[PastRun, ...]  # at least as long as the shortest threshold, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What one limit would have done."""

    rule: LimitRule
    matched: int  # runs it is about
    last_match_at: datetime | None  # start of the newest of them
    warned: tuple[PastRun, ...]  # past the first threshold; each of `cancelled` is among them
    cancelled: tuple[PastRun, ...]  # past `cancel_after`, unless the limit only warns


def shortest(rules: Iterable[LimitRule]) -> timedelta | None:
    """The first threshold that any run can pass; None without limits."""
    return min((rule.announce_after for rule in rules), default=None)


def replay(coverage: Coverage, past: PastRuns) -> tuple[Replayed, ...]:
    """What each limit would have done, in their order."""
    matched: dict[str, int] = {}
    newest: dict[str, datetime] = {}
    for kind, count in past.counts.items():
        rule = coverage.rule_for(*kind)
        if rule is not None:
            matched[rule.name] = matched.get(rule.name, 0) + count
            if kind in past.newest:
                newest[rule.name] = max(past.newest[kind], newest.get(rule.name, past.newest[kind]))
    warned: dict[str, list[PastRun]] = {}
    for run in past.long:
        rule = coverage.rule_for(run.pipeline, run.trigger)
        if rule is not None and run.took >= rule.announce_after:
            warned.setdefault(rule.name, []).append(run)
    return tuple(
        Replayed(
            rule=rule,
            matched=matched.get(rule.name, 0),
            last_match_at=newest.get(rule.name),
            warned=tuple(warned.get(rule.name, ())),
            cancelled=tuple(run for run in warned.get(rule.name, ()) if _cancels(rule, run)),
        )
        for rule in coverage.rules
    )


def summary(replayed: Replayed, *, pipelines: int, over: str) -> str:
    """One line: how far the limit goes, what it is about, what it would have done in the time that `over` words."""
    rule = replayed.rule
    thresholds = [f"{word} after {format_duration(after)}" for word, after in _thresholds(rule)]
    said = (
        f'limit "{rule.name}", mode {rule.mode.value}, {", ".join(thresholds)}: matches {_many(pipelines, "pipeline")}'
    )
    if not pipelines and not replayed.matched:
        return f"{said} and no run of the last {over}: it does nothing"
    done = f"would have warned about {len(replayed.warned)}"
    if rule.mode is not Mode.WARN and rule.cancel_after is not None:
        done += f" and cancelled {len(replayed.cancelled)}"
    return f"{said}; of {_many(replayed.matched, 'run')} of the last {over} it {done}"


def _cancels(rule: LimitRule, run: PastRun) -> bool:
    return rule.mode is not Mode.WARN and rule.cancel_after is not None and run.took >= rule.cancel_after


def _thresholds(rule: LimitRule) -> list[tuple[str, timedelta]]:
    words = (("warns", rule.warn_after), ("cancels", rule.cancel_after))
    return [(word, after) for word, after in words if after is not None and (word, rule.mode) != ("cancels", Mode.WARN)]


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
