"""Runs one by one: those that go on, each against its limit, and the latest that ended badly, each with its reason.

Users and messages are None unless they may be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest
from typing import TYPE_CHECKING
from urllib.parse import quote

from exporter.core.durations import format_duration
from exporter.core.inert import shortened
from exporter.core.limits.runs import ASKED, LimitedRun, Stage
from exporter.core.model import FAILURE_STATUSES, Status
from exporter.metrics.labels import clean
from exporter.web.page.pipelines import Health

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.core.limits.rules import LimitRule
    from exporter.core.model import PipelineKey, Run
    from exporter.core.recent import RecentRun
    from exporter.core.state import RunRecord
    from exporter.web.page.board import Facts
    from exporter.web.page.pipelines import PipelineRow
    from exporter.web.page.sources import Stories

ENDINGS_SHOWN = 25
"""How many of the pipelines that are broken are told with their last run, and how many other endings."""

MESSAGE_SHOWN = 1_000

_BAD_ENDS = frozenset({*FAILURE_STATUSES, Status.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimit:
    """The limit that a run is under. Spans are seconds."""

    name: str
    mode: str
    seconds: float  # the threshold that stands for the whole limit: `cancel_after`, else `warn_after`
    warn_after_seconds: float  # the first threshold: past it a run is over its limit


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
    trigger: str
    user: str | None
    url: str
    typical_duration_seconds: float | None
    limit: RunLimit | None
    over_limit: bool
    limit_stage: str | None  # how far its limit has gone with it
    limit_note: str | None  # the same in words
    cancelling_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A run that was FAILED, FORBIDDEN or CANCELLED."""

    run_id: str
    project_name: str
    environment_name: str
    pipeline_name: str
    status: str
    finished_at: datetime  # its end, else its start, else when it was first seen
    duration_seconds: float | None
    trigger: str | None
    user: str | None
    message: str | None
    reason: str
    url: str
    broken: bool  # it is the last run of its pipeline: nothing has succeeded since
    failures_in_a_row: int
    failing_since: datetime | None


def unfinished_runs(
    facts: Facts, pipelines: Mapping[PipelineKey, PipelineRow], *, now: datetime, reveal: bool
) -> tuple[UnfinishedRun, ...]:
    """The runs of these pipelines that go on: those over their limit first, then the oldest."""
    state = facts.snapshot.state
    records = [record for record in state.unfinished.values() if record.followed and record.run.pipeline in pipelines]
    records.sort(
        key=lambda record: (
            record.run.run_id not in facts.limits.over_now,
            record.run.started_at or record.first_seen_at,
            record.run.run_id,
        )
    )
    return tuple(_unfinished(record, facts, pipelines, now=now, reveal=reveal) for record in records)


def _unfinished(
    record: RunRecord, facts: Facts, pipelines: Mapping[PipelineKey, PipelineRow], *, now: datetime, reveal: bool
) -> UnfinishedRun:
    run, row = record.run, pipelines[record.run.pipeline]
    rule = facts.coverage.rule_for(run.pipeline, run.trigger)
    limited = facts.limits.runs.get(run.run_id)
    held = facts.limits.held.get(run.run_id)
    return UnfinishedRun(
        run_id=clean(run.run_id),
        project_name=row.project_name,
        environment_name=row.environment_name,
        pipeline_name=row.pipeline_name,
        status=run.status.value,
        started_at=run.started_at,
        age_seconds=None if run.started_at is None else max(0.0, (now - run.started_at).total_seconds()),
        trigger=run.trigger.value,
        user=clean(run.user) if reveal and run.user else None,
        url=run_url(facts, run.run_id),
        typical_duration_seconds=row.typical_duration_seconds,
        limit=None if rule is None else _limit(rule),
        over_limit=run.run_id in facts.limits.over_now,
        limit_stage=None if limited is None else limited.stage.value,
        limit_note=None if limited is None else _note(limited, held.value if held else ""),
        cancelling_since=record.cancelling_since,
    )


def _limit(rule: LimitRule) -> RunLimit:
    return RunLimit(
        name=clean(rule.name),
        mode=rule.mode.value,
        seconds=rule.shown_after.total_seconds(),
        warn_after_seconds=rule.announce_after.total_seconds(),
    )


_STAGES = {
    Stage.WARNED: "past its first threshold",
    Stage.OVER: "over its limit",
    Stage.WOULD_CANCEL: "would have been cancelled (mode observe)",
    Stage.INTENT: "about to be asked to stop",
    Stage.REQUESTED: "asked to stop",
    Stage.FORCE_INTENT: "about to be stopped by force",
    Stage.FORCED: "told to stop by force",
    Stage.REFUSED: "the API refuses to cancel it",
    Stage.STUCK: "does not end though asked to: look at it in Maia",
}


def _note(limited: LimitedRun, held: str) -> str:
    said = _STAGES.get(limited.stage, limited.stage.value)
    return f"{said}; not asked to stop: {held}" if held and limited.stage not in ASKED else said


def bad_endings(facts: Facts, pipelines: Mapping[PipelineKey, PipelineRow]) -> list[tuple[PipelineKey, RecentRun]]:
    """The last runs of those of these pipelines that are broken, newest first, then the latest other bad endings."""
    recent = {key: facts.snapshot.state.pipelines[key].recent for key in pipelines}
    lasts = ((key, recent[key].last) for key, row in pipelines.items() if row.health is Health.BROKEN)
    broken = [(key, last) for key, last in lasts if last is not None]
    last = {run.run_id for _, run in broken}
    bad = (key for key, row in pipelines.items() if not _BAD_ENDS.isdisjoint(row.recent_statuses))
    others = ((key, run) for key in bad for run in recent[key] if run.status in _BAD_ENDS)
    return [
        *nlargest(ENDINGS_SHOWN, broken, key=_finish_order),
        *nlargest(ENDINGS_SHOWN, (each for each in others if each[1].run_id not in last), key=_finish_order),
    ]


def _finish_order(ending: tuple[PipelineKey, RecentRun]) -> tuple[float, str]:
    return ending[1][:2]


def endings(
    facts: Facts,
    pipelines: Mapping[PipelineKey, PipelineRow],
    chosen: Sequence[tuple[PipelineKey, RecentRun]],
    stories: Stories,
    *,
    reveal: bool,
) -> Iterator[Ending]:
    """These endings, with what the record holds of them."""
    for key, ended in chosen:
        row, record = pipelines[key], stories.runs.get(ended.run_id)
        broken = row.health is Health.BROKEN and facts.snapshot.state.pipelines[key].recent.last == ended
        run = None if record is None else record.run
        yield Ending(
            run_id=clean(ended.run_id),
            project_name=row.project_name,
            environment_name=row.environment_name,
            pipeline_name=row.pipeline_name,
            status=ended.status.value,
            finished_at=datetime.fromtimestamp(ended.finished, UTC),
            duration_seconds=ended.seconds,
            trigger=None if run is None else run.trigger.value,
            user=clean(run.user) if reveal and run is not None and run.user else None,
            message=_message(run) if reveal and run is not None and run.message else None,
            reason=_reason(ended, stories.limited.get(ended.run_id), row if broken else None),
            url=run_url(facts, ended.run_id),
            broken=broken,
            failures_in_a_row=row.failures_in_a_row if broken else 0,
            failing_since=row.failing_since if broken else None,
        )


def _message(run: Run) -> str:
    return shortened(clean(run.message), MESSAGE_SHOWN)


def _reason(ended: RecentRun, limited: LimitedRun | None, broken: PipelineRow | None) -> str:
    """Why it ended so, in our words."""
    if ended.status is Status.CANCELLED:
        if limited is None or limited.stage is not Stage.CANCELLED:
            return "cancelled, by no limit of ours"
        request = limited.last_sent
        after = request.rule.cancel_after if request is not None else None
        limit = f" of {format_duration(after)}" if after is not None else ""
        return f"cancelled by limit “{clean(limited.limit)}”{limit}"
    forbidden = ended.status is Status.FORBIDDEN
    said = "the runner's allow list does not permit it: it never ran" if forbidden else "failed"
    if broken is not None and broken.failures_in_a_row > 1:
        said += f", {broken.failures_in_a_row} times in a row"
    return said


def run_url(facts: Facts, run_id: str) -> str:
    """A run's page in Maia."""
    return facts.run_url.replace("{run_id}", quote(clean(run_id), safe=""))
