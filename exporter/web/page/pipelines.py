"""Every pipeline in one row: how its last runs went, how long they take, what is wrong with it now.

Must not know how a row looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from exporter.core.expectations import still_reading, waiting_since
from exporter.core.model import FAILURE_STATUSES, PipelineKey, Status
from exporter.metrics.labels import UNKNOWN, clean, project_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.core.recent import RecentRuns
    from exporter.core.state import PipelineState, RunRecord, State
    from exporter.web.page.board import Facts


class Health(StrEnum):
    """What is to be said of a pipeline first, the worst first."""

    BROKEN = "broken"  # its last run ended as FAILED or FORBIDDEN
    OVER_LIMIT = "over_limit"  # a run goes on past its limit
    OVERDUE = "overdue"  # no success within what is expected of it
    RUNNING = "running"
    IDLE = "idle"
    NEW = "new"  # no run that we know of


NEEDS_SOMEBODY = (Health.BROKEN, Health.OVER_LIMIT, Health.OVERDUE)

_RANK = {health: rank for rank, health in enumerate(Health)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRow:
    """One pipeline. Spans are seconds; None for what there is not."""

    project_name: str
    environment_name: str
    pipeline_name: str
    pipeline_type: str
    health: Health
    last_status: str | None
    last_run_id: str | None
    last_started_at: datetime | None
    last_finished_at: datetime | None
    last_duration_seconds: float | None
    typical_duration_seconds: float | None  # the median of its last successful runs
    last_success_at: datetime | None
    success_rate: float | None  # of its last runs that were SUCCESS, FAILED or FORBIDDEN: 0 to 1
    recent_statuses: tuple[str, ...]  # of its last 30 runs, the newest last
    failures_in_a_row: int
    failing_since: datetime | None
    active_runs: int
    oldest_active_started_at: datetime | None
    limit_seconds: float | None
    over_limit: int  # active runs past their limit
    success_within_seconds: float | None
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All rows, those that need somebody first, then as people would order them."""

    by_pipeline: Mapping[PipelineKey, PipelineRow]


class Roll:
    """Makes the rows of one edition after the other; looks anew only at the last runs of those that have had one."""

    def __init__(self) -> None:
        self._looks: dict[PipelineKey, tuple[RecentRuns, _Look]] = {}

    def rows(self, facts: Facts, now: datetime) -> Rows:
        """The rows of all tracked pipelines."""
        state = facts.snapshot.state
        names = project_labels({key.project_id for key in state.pipelines}, state.project_names)
        active: dict[PipelineKey, list[RunRecord]] = {}
        for record in state.unfinished.values():
            if record.followed:
                active.setdefault(record.run.pipeline, []).append(record)
        self._looks = {key: self._looked(key, pipeline.recent) for key, pipeline in state.pipelines.items()}
        rows = [
            (
                key,
                _row(
                    pipeline,
                    facts,
                    self._looks[key][1],
                    project_name=names[key.project_id],
                    active=active.get(key, []),
                    now=now,
                ),
            )
            for key, pipeline in state.pipelines.items()
        ]
        rows.sort(key=lambda each: _order(each[1]))
        return Rows(by_pipeline=dict(rows))

    def _looked(self, key: PipelineKey, recent: RecentRuns) -> tuple[RecentRuns, _Look]:
        before = self._looks.get(key)
        return before if before is not None and before[0] is recent else (recent, _look(recent))


@dataclass(frozen=True, slots=True)
class _Look:
    """What the last runs of a pipeline say."""

    statuses: tuple[str, ...]
    typical_seconds: float | None
    success_rate: float | None


def _look(recent: RecentRuns) -> _Look:
    runs = tuple(recent)
    statuses = [str(run.status) for run in runs]
    seconds = [run.seconds for run in runs if run.status is Status.SUCCESS and run.seconds is not None]
    good = statuses.count(Status.SUCCESS)
    bad = sum(map(statuses.count, FAILURE_STATUSES))  # CANCELLED and SKIPPED say nothing about the pipeline
    return _Look(
        statuses=tuple(statuses),
        typical_seconds=median(seconds) if seconds else None,
        success_rate=good / (good + bad) if good or bad else None,
    )


def _order(row: PipelineRow) -> tuple[int, str, str, str]:
    rank = _RANK[row.health] if row.health in NEEDS_SOMEBODY else len(_RANK)
    return rank, row.project_name, row.environment_name, row.pipeline_name


def _row(
    pipeline: PipelineState,
    facts: Facts,
    look: _Look,
    *,
    project_name: str,
    active: list[RunRecord],
    now: datetime,
) -> PipelineRow:
    key, last = pipeline.key, pipeline.last_run
    limits = facts.snapshot.limits.get(key)
    over = limits.over_now if limits else 0
    within = facts.snapshot.success_within.get(key)
    overdue = within is not None and _waits_too_long(pipeline, facts.snapshot.state, within, now)
    return PipelineRow(
        project_name=project_name,
        environment_name=clean(key.environment_name) or UNKNOWN,
        pipeline_name=clean(key.pipeline_name) or UNKNOWN,
        pipeline_type=clean(pipeline.pipeline_type),
        health=_health(pipeline, active=len(active), over=over, overdue=overdue),
        last_status=None if last is None else last.status.value,
        last_run_id=None if last is None else clean(last.order[1]),
        last_started_at=None if last is None else last.started_at,
        last_finished_at=None if last is None else last.finished_at or _instant(last.order[0]),
        last_duration_seconds=None if last is None else last.duration_seconds,
        typical_duration_seconds=look.typical_seconds,
        last_success_at=None if pipeline.last_success is None else _instant(pipeline.last_success[0]),
        success_rate=look.success_rate,
        recent_statuses=look.statuses,
        failures_in_a_row=pipeline.streak.length,
        failing_since=None if pipeline.streak.since is None else _instant(pipeline.streak.since),
        active_runs=len(active),
        oldest_active_started_at=min((r.run.started_at for r in active if r.run.started_at), default=None),
        limit_seconds=limits.seconds if limits else None,
        over_limit=over,
        success_within_seconds=within,
        overdue=overdue,
    )


def _health(pipeline: PipelineState, *, active: int, over: int, overdue: bool) -> Health:
    if pipeline.last_run is not None and pipeline.last_run.status in FAILURE_STATUSES:
        return Health.BROKEN
    if over:
        return Health.OVER_LIMIT
    if overdue:
        return Health.OVERDUE
    if active:
        return Health.RUNNING
    return Health.NEW if pipeline.last_run is None else Health.IDLE


def _waits_too_long(pipeline: PipelineState, state: State, within: float, now: datetime) -> bool:
    return not still_reading(state) and now.timestamp() - waiting_since(pipeline) > within


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
