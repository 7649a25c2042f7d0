"""How a pipeline's gauges and counters follow its runs, whatever order the runs are read in.

Pure arithmetic on `PipelineState`; whether a run counts is the tracker's decision.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from exporter.core.model import FAILURE_STATUSES, FINISHED_STATUSES, Run, Status, Trigger
from exporter.core.recent import FinishOrder, RecentRun
from exporter.core.state import (
    STREAK_KEPT,
    TRIGGERS,
    FailureStreak,
    FinishedRun,
    PipelineState,
    RunCounts,
    RunRecord,
)

if TYPE_CHECKING:
    from datetime import datetime


def finish_order(record: RunRecord) -> FinishOrder:
    """Where a finished run stands among its pipeline's: by end, else start, else first sight; ties by id."""
    instant = record.run.finished_at or record.run.started_at or record.first_seen_at
    return (instant.timestamp(), record.run.run_id)


def note_activity(pipeline: PipelineState, instant: datetime) -> PipelineState:
    """The pipeline with a sign of life at `instant`."""
    newer = _newer(pipeline.last_activity_at, instant)
    return pipeline if newer is pipeline.last_activity_at else replace(pipeline, last_activity_at=newer)


def _newer(last: datetime | None, instant: datetime) -> datetime:
    return instant if last is None or last < instant else last


def note_started(pipeline: PipelineState, trigger: Trigger) -> PipelineState:
    """The pipeline with one more started run."""
    started = _plus(pipeline.counts.started, TRIGGERS.index(trigger), 1)
    return replace(pipeline, counts=replace(pipeline.counts, started=started))


def note_finished(
    pipeline: PipelineState, record: RunRecord, *, counted: bool, bucket_bounds: tuple[float, ...]
) -> PipelineState:
    """The pipeline after one of its runs has finished; history (`counted=False`) moves the gauges only."""
    run, order = record.run, finish_order(record)
    last_success = pipeline.last_success
    streak = pipeline.streak
    if run.status is Status.SUCCESS and (last_success is None or order > last_success):
        last_success = order
        streak = streak_after_success(streak, order)
    elif run.status in FAILURE_STATUSES and (last_success is None or order > last_success):
        streak = streak_after_failure(streak, order)
    return replace(
        pipeline,
        last_activity_at=_newer(pipeline.last_activity_at, run.finished_at or run.started_at or record.first_seen_at),
        last_run=_later(pipeline.last_run, run, order),
        recent=pipeline.recent.with_run(RecentRun(*order, run.status, _seconds(run))),
        last_success=last_success,
        streak=streak,
        counts=_counted(pipeline.counts, run, bucket_bounds) if counted else pipeline.counts,
    )


def streak_after_failure(streak: FailureStreak, order: FinishOrder) -> FailureStreak:
    """The streak with one more failure, wherever among the others it lies."""
    since = order[0] if streak.since is None else min(streak.since, order[0])
    if streak.older and order < streak.orders[0]:
        return replace(streak, older=streak.older + 1, since=since)
    orders = list(streak.orders)
    insort(orders, order)
    surplus = max(0, len(orders) - STREAK_KEPT)
    return FailureStreak(orders=tuple(orders[surplus:]), older=streak.older + surplus, since=since)


def streak_after_success(streak: FailureStreak, order: FinishOrder) -> FailureStreak:
    """What is left of the streak: the failures that finished after the success."""
    if not streak.orders or order < streak.orders[0]:
        # Older than every failure that is kept: nothing falls away (among `older` ones we cannot tell how many).
        return streak
    orders = streak.orders[bisect_right(streak.orders, order) :]
    return FailureStreak(orders=orders, since=orders[0][0] if orders else None)


def _later(last: FinishedRun | None, run: Run, order: FinishOrder) -> FinishedRun:
    if last is not None and last.order >= order:
        return last
    return FinishedRun(
        order=order,
        status=run.status,
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration_seconds=_seconds(run),
    )


def _seconds(run: Run) -> float | None:
    return None if run.started_at is None or run.finished_at is None else run.duration_seconds


def _counted(counts: RunCounts, run: Run, bounds: tuple[float, ...]) -> RunCounts:
    index = FINISHED_STATUSES.index(run.status)
    counts = replace(
        counts,
        finished=_plus(counts.finished, index, 1),
        seconds=_plus(counts.seconds, index, run.duration_seconds),
    )
    if not bounds or run.status is not Status.SUCCESS or run.started_at is None or run.finished_at is None:
        return counts
    if counts.bucket_bounds != bounds:
        # Other bounds in the config: old observations cannot be spread over them, so the histogram starts afresh.
        counts = replace(counts, bucket_bounds=bounds, buckets=(0,) * (len(bounds) + 1), bucket_sum=0.0)
    return replace(
        counts,
        buckets=_plus(counts.buckets, bisect_left(bounds, run.duration_seconds), 1),
        bucket_sum=counts.bucket_sum + run.duration_seconds,
    )


_Number = TypeVar("_Number", int, float)


def _plus(values: tuple[_Number, ...], index: int, amount: _Number) -> tuple[_Number, ...]:
    changed = list(values)
    changed[index] += amount
    return tuple(changed)
