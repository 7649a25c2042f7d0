"""What `/api/v1/status` says and the page shows. Its keys are documented and stay.

Users, messages, what targets said, who silenced why, and the config are None unless they may be shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.web.page.pipelines import Health, PipelineRow, Rows
from exporter.web.page.runs import Ending, UnfinishedRun, bad_endings, endings, unfinished_runs
from exporter.web.page.surroundings import (
    LimitRow,
    SilenceRow,
    TargetRow,
    limit_rows,
    silence_rows,
    target_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from exporter.web.page.board import Facts
    from exporter.web.page.sources import Stories
    from exporter.web.page.wanted import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSummary:
    """How many pipelines there are, and how their last runs ended (status -> number, none for those without)."""

    tracked: int
    shown: int  # in the metrics
    over_cap: int
    by_last_status: dict[str, int]
    broken: int  # their last run was FAILED or FORBIDDEN
    over_limit: int  # a run goes on past its limit
    overdue: int  # no success within what is expected
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole of it, as of `now`. Ages are seconds, None for what has not happened yet."""

    version: str
    now: datetime
    leading: bool
    ready: bool
    ready_reason: str
    up: bool
    last_poll_at: datetime | None
    last_poll_age_seconds: float | None
    last_successful_poll_at: datetime | None
    data_age_seconds: float | None
    last_poll_failure: str | None
    poll_interval_seconds: float
    revealed: bool  # whether users, messages and the config are shown
    pipelines: PipelineSummary
    unfinished_runs: tuple[UnfinishedRun, ...]  # those over their limit first, then the oldest
    bad_endings: tuple[Ending, ...]  # of broken pipelines first, then the latest
    pipeline_rows: tuple[PipelineRow, ...]  # those that need somebody first
    targets: tuple[TargetRow, ...]
    silences: tuple[SilenceRow, ...]
    limits: tuple[LimitRow, ...]
    cancel_breaker_open_since: datetime | None
    trouble: str | None  # why targets, silences or messages could not be read
    config: Mapping[str, Any] | None


def status_of(
    facts: Facts,
    rows: Rows,
    wanted: Wanted,
    *,
    stories: Callable[[Collection[str]], Stories],
    now: datetime,
    reveal: bool,
) -> Status:
    """What there is to say now of the pipelines that are wanted; `rows` holds all of them."""
    pipelines = {key: row for key, row in rows.by_pipeline.items() if wanted.takes(row)}
    chosen = bad_endings(facts, pipelines)
    told = stories([run.run_id for _, run in chosen])
    polls = facts.polls
    return Status(
        version=facts.version,
        now=now,
        leading=facts.leading,
        ready=facts.ready.good,
        ready_reason=facts.ready.reason,
        up=polls.up,
        last_poll_at=polls.last_poll_at,
        last_poll_age_seconds=_age(polls.last_poll_at, now),
        last_successful_poll_at=polls.last_successful_poll_at,
        data_age_seconds=_age(polls.last_successful_poll_at, now),
        last_poll_failure=polls.last_failure,
        poll_interval_seconds=facts.poll_interval,
        revealed=reveal,
        pipelines=_summary(facts, rows),
        unfinished_runs=unfinished_runs(facts, pipelines, now=now, reveal=reveal),
        bad_endings=tuple(endings(facts, pipelines, chosen, told, reveal=reveal)),
        pipeline_rows=tuple(pipelines.values()),
        targets=target_rows(facts, reveal=reveal),
        silences=silence_rows(facts, reveal=reveal),
        limits=limit_rows(facts, now),
        cancel_breaker_open_since=facts.limits.breaker.opened_at,
        trouble=facts.around.trouble or told.trouble or None,
        config=facts.config if reveal and facts.leading else None,
    )


def _summary(facts: Facts, rows: Rows) -> PipelineSummary:
    every = rows.by_pipeline.values()
    by_last_status = Counter(row.last_status for row in every if row.last_status is not None)
    return PipelineSummary(
        tracked=facts.counts.pipelines,
        shown=facts.counts.shown,
        over_cap=facts.counts.over_cap,
        by_last_status=dict(sorted(by_last_status.items())),
        broken=sum(row.health is Health.BROKEN for row in every),
        over_limit=sum(row.over_limit > 0 for row in every),
        overdue=sum(row.overdue for row in every),
        running=sum(row.active_runs > 0 for row in every),
    )


def _age(instant: datetime | None, now: datetime) -> float | None:
    return None if instant is None else max(0.0, (now - instant).total_seconds())
