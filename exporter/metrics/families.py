"""The facts about Maia, family by family: which numbers a pipeline shows.

A family is one function from `PipelineView` to its numbers and one row of `FAMILIES` that says how they are labelled.
Must not know of other pipelines, output formats or caching.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.utils import floatToGoString

from exporter.core.model import ACTIVE_STATUSES, FINISHED_STATUSES, Status
from exporter.core.state import TRIGGERS
from exporter.metrics import catalogue, limits
from exporter.metrics.labels import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from exporter.metrics.catalogue import Metric
    from exporter.metrics.snapshot import PipelineView

Lines = str
"""Whole sample lines, each with its line feed; "" where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and how one pipeline's lines of it are made."""

    metric: Metric
    lines: Callable[[PipelineView], Lines]


def one(metric: Metric, number: Callable[[PipelineView], float | None]) -> Family:
    """A family with one sample a pipeline, absent where the number is None."""
    name = metric.name

    def lines(view: PipelineView) -> Lines:
        value = number(view)
        return "" if value is None else f"{name}{{{view.labels}}} {value}\n"

    return Family(metric, lines)


def each(metric: Metric, values: Iterable[str], numbers: Callable[[PipelineView], Sequence[float] | None]) -> Family:
    """A family with one sample for each value of the metric's last label, in that order; none where that is None."""
    name, label = metric.name, metric.labels[-1]
    ends = [f',{label}="{value}"}} ' for value in values]

    def lines(view: PipelineView) -> Lines:
        found = numbers(view)
        if found is None:
            return ""
        start = f"{name}{{{view.labels}"
        return "".join([f"{start}{end}{number}\n" for end, number in zip(ends, found, strict=True)])

    return Family(metric, lines)


def active_runs(view: PipelineView) -> Sequence[int]:
    """How many unfinished runs there are of each status."""
    if not view.active:
        return _NO_RUNS
    statuses = [record.run.status for record in view.active]
    return [statuses.count(status) for status in ACTIVE_STATUSES]


def oldest_active_run_start(view: PipelineView) -> float | None:
    """The start of the oldest unfinished run."""
    return _oldest(record.run.started_at for record in view.active)


def oldest_cancelling_since(view: PipelineView) -> float | None:
    """Since when the oldest CANCELLING run was seen so."""
    return _oldest(record.cancelling_since for record in view.active if record.run.status is Status.CANCELLING)


def last_run_status(view: PipelineView) -> Sequence[int]:
    """1 for the status of the run that finished last."""
    last = view.state.last_run
    return _NO_STATUS if last is None else _ONE_STATUS[last.status]


def last_run_start(view: PipelineView) -> float | None:
    """The start of the run that finished last."""
    last = view.state.last_run
    return None if last is None or last.started_at is None else last.started_at.timestamp()


def last_run_end(view: PipelineView) -> float | None:
    """The end of the run that finished last."""
    last = view.state.last_run
    return None if last is None or last.finished_at is None else last.finished_at.timestamp()


def last_run_duration(view: PipelineView) -> float | None:
    """The wall time of the run that finished last."""
    last = view.state.last_run
    return None if last is None else last.duration_seconds


def last_success(view: PipelineView) -> float | None:
    """The end of the last SUCCESS."""
    success = view.state.last_success
    return None if success is None else success[0]


def consecutive_failures(view: PipelineView) -> int:
    """Failures in a row."""
    return view.state.streak.length


def runs_started(view: PipelineView) -> Sequence[int]:
    """Runs first seen, by trigger."""
    return view.counts.started


def runs_finished(view: PipelineView) -> Sequence[int]:
    """Runs seen to finish, by status."""
    return view.counts.finished


def run_seconds(view: PipelineView) -> Sequence[float]:
    """Wall time of the runs seen to finish, by status."""
    return view.counts.seconds


def info(view: PipelineView) -> Lines:
    """The ids and words that are in no other metric."""
    return (
        f'{catalogue.PIPELINE_INFO.name}{{{view.labels},project_id="{escaped(view.state.key.project_id)}",'
        f'pipeline_type="{escaped(view.state.pipeline_type)}"}} 1\n'
    )


def run_duration(view: PipelineView) -> Lines:
    """The histogram of successful runs; nothing unless bounds are configured."""
    bounds, counts = view.bucket_bounds, view.counts
    if not bounds:
        return ""
    # Buckets that were counted with other bounds say nothing about these.
    counted = counts.bucket_bounds == bounds
    buckets = list(accumulate(counts.buckets)) if counted else [0] * (len(bounds) + 1)
    name = catalogue.RUN_DURATION.name
    start = f"{name}_bucket{{{view.labels},le="
    lines = [f'{start}"{limit}"}} {number}\n' for limit, number in zip(_limits(bounds), buckets, strict=True)]
    lines.append(f"{name}_sum{{{view.labels}}} {counts.bucket_sum if counted else 0.0}\n")
    lines.append(f"{name}_count{{{view.labels}}} {buckets[-1]}\n")
    return "".join(lines)


FAMILIES = (
    each(catalogue.ACTIVE_RUNS, ACTIVE_STATUSES, active_runs),
    one(catalogue.OLDEST_ACTIVE_RUN_START, oldest_active_run_start),
    one(catalogue.OLDEST_CANCELLING_SINCE, oldest_cancelling_since),
    each(catalogue.LAST_RUN_STATUS, FINISHED_STATUSES, last_run_status),
    one(catalogue.LAST_RUN_START, last_run_start),
    one(catalogue.LAST_RUN_END, last_run_end),
    one(catalogue.LAST_RUN_DURATION, last_run_duration),
    one(catalogue.LAST_SUCCESS, last_success),
    one(catalogue.CONSECUTIVE_FAILURES, consecutive_failures),
    Family(catalogue.PIPELINE_INFO, info),
    each(catalogue.RUNS_STARTED, TRIGGERS, runs_started),
    each(catalogue.RUNS_FINISHED, FINISHED_STATUSES, runs_finished),
    each(catalogue.RUN_SECONDS, FINISHED_STATUSES, run_seconds),
    Family(catalogue.RUN_DURATION, run_duration),
    one(catalogue.RUN_TIME_LIMIT, limits.run_time_limit),
    one(catalogue.SUCCESS_WITHIN, lambda view: view.success_within),
    one(catalogue.ACTIVE_RUNS_OVER_LIMIT, limits.active_runs_over_limit),
    one(catalogue.RUNS_OVER_LIMIT, limits.runs_over_limit),
    each(catalogue.CANCEL_REQUESTS, limits.MODES, limits.cancel_requests),
    each(catalogue.CANCEL_OUTCOMES, limits.ENDS, limits.cancel_outcomes),
)
"""In the order in which they are shown."""

_NO_RUNS = (0,) * len(ACTIVE_STATUSES)
_NO_STATUS = (0,) * len(FINISHED_STATUSES)
_ONE_STATUS = {status: tuple(int(other is status) for other in FINISHED_STATUSES) for status in FINISHED_STATUSES}


@lru_cache(maxsize=1)
def _limits(bounds: tuple[float, ...]) -> list[str]:
    """The values of the label `le`."""
    # The library does not annotate it; it is how OpenMetrics wants a bound spelt.
    return [*(floatToGoString(bound) for bound in bounds), "+Inf"]  # type: ignore[no-untyped-call]


def _oldest(instants: Iterable[datetime | None]) -> float | None:
    return min((instant.timestamp() for instant in instants if instant is not None), default=None)
