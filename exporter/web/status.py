"""What the page and `/api/v1/status` say: how old the data is, what runs, how many pipelines there are.

Holds nothing that `/metrics` does not show already, but for the ids of unfinished runs: no user, message or config.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.metrics.labels import UNKNOWN, project_labels

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.core.state import RunRecord, State
    from exporter.metrics.exposition import Exposition


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRun:
    """A run that goes on. `age_seconds` is by our clock, None when the run has no start."""

    run_id: str
    project_name: str
    environment_name: str
    pipeline_name: str
    status: str
    started_at: datetime | None
    age_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSummary:
    """How many pipelines there are, and how their last runs ended (status -> number, none for those without)."""

    tracked: int
    shown: int
    over_cap: int
    by_last_status: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole of it, as of `now`. Ages are seconds, None for what has not happened yet."""

    version: str
    now: datetime
    leading: bool
    up: bool
    last_poll_at: datetime | None
    last_poll_age_seconds: float | None
    last_successful_poll_at: datetime | None
    data_age_seconds: float | None
    last_poll_failure: str | None
    pipelines: PipelineSummary
    unfinished_runs: tuple[UnfinishedRun, ...]  # oldest first


def status_of(exposition: Exposition, *, version: str, now: datetime) -> Status:
    """What there is to say now."""
    polls, facts, state = exposition.ours.polls, exposition.facts, exposition.snapshot.state
    leading = exposition.ours.registry.leading
    return Status(
        version=version,
        now=now,
        leading=leading,
        up=polls.up,
        last_poll_at=polls.last_poll_at,
        last_poll_age_seconds=_age(polls.last_poll_at, now),
        last_successful_poll_at=polls.last_successful_poll_at,
        data_age_seconds=_age(polls.last_successful_poll_at, now),
        last_poll_failure=polls.last_failure,
        pipelines=PipelineSummary(
            tracked=facts.pipelines,
            shown=facts.shown,
            over_cap=facts.over_cap,
            by_last_status=_by_last_status(state) if leading else {},
        ),
        unfinished_runs=_unfinished(state, now) if leading else (),
    )


def _by_last_status(state: State) -> dict[str, int]:
    last_runs = (pipeline.last_run for pipeline in state.pipelines.values())
    return dict(sorted(Counter(str(run.status) for run in last_runs if run is not None).items()))


def _unfinished(state: State, now: datetime) -> tuple[UnfinishedRun, ...]:
    followed = [record for record in state.unfinished.values() if record.followed]
    followed.sort(key=lambda record: ((record.run.started_at or record.first_seen_at), record.run.run_id))
    labels = project_labels({record.run.pipeline.project_id for record in followed}, state.project_names)
    return tuple(_run(record, labels[record.run.pipeline.project_id], now) for record in followed)


def _run(record: RunRecord, project_name: str, now: datetime) -> UnfinishedRun:
    run = record.run
    return UnfinishedRun(
        run_id=run.run_id,
        project_name=project_name,
        environment_name=run.pipeline.environment_name or UNKNOWN,
        pipeline_name=run.pipeline.pipeline_name or UNKNOWN,
        status=str(run.status),
        started_at=run.started_at,
        age_seconds=_age(run.started_at, now),
    )


def _age(instant: datetime | None, now: datetime) -> float | None:
    return None if instant is None else max(0.0, (now - instant).total_seconds())
