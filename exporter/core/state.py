"""What we hold in memory about the account and keep in the store: runs, pipelines, and how far we have read.

Everything is frozen: a step makes new values from old ones (`exporter.core.tracker`), so that a commit that
fails leaves the old state standing. Must not decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# The names in annotations are imported for good: the store's decoder reads the annotations.
from exporter.core.globs import Scope
from exporter.core.model import FINISHED_STATUSES, PipelineKey, Run, Status, Trigger
from exporter.core.recent import FinishOrder, RecentRuns

TRIGGERS = tuple(Trigger)


class Origin(StrEnum):
    """Which kind of read showed a row."""

    POLL = "poll"
    """The regular poll: unfinished, recent and newest FORBIDDEN runs."""
    HISTORY = "history"
    """Pages older than the first poll of a scope."""
    CATCH_UP = "catch_up"
    """Pages that were left over from the first poll after an outage."""
    AUDIT = "audit"
    """The last day once more, once an hour, for rows that surfaced late."""
    FORBIDDEN = "forbidden"
    """All FORBIDDEN runs, once an hour: they may be undated and sort anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run with what we know beside the API's words. Finished records are final: no later row changes them."""

    run: Run
    first_seen_at: datetime
    finished_seen_at: datetime | None = None  # None while unfinished
    cancelling_since: datetime | None = None  # when it was first seen CANCELLING
    missing_since: datetime | None = None  # when the API first said it does not know this unfinished run
    vanished_at: datetime | None = None  # when the API had said so twice: no longer followed
    history: bool = False  # it ended before we watched: counted nowhere, told to nobody

    @property
    def followed(self) -> bool:
        """Whether polls still ask for it."""
        return self.finished_seen_at is None and self.vanished_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """The run of a pipeline that finished last, as far as the gauges need it."""

    order: FinishOrder
    status: Status
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None  # None when either time is absent


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStreak:
    """FAILED and FORBIDDEN runs after the last SUCCESS, whatever order they were read in."""

    orders: tuple[FinishOrder, ...] = ()  # the newest `STREAK_KEPT`, ascending
    older: int = 0  # how many more there are before those
    since: float | None = None  # finish instant of the first of all of them, Unix seconds

    @property
    def length(self) -> int:
        """How many in a row."""
        return self.older + len(self.orders)


STREAK_KEPT = 256
"""How many failures of a streak are kept one by one, so that a SUCCESS that is read late lands among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """A pipeline's counters. They only grow, and come back after a restart."""

    started: tuple[int, ...] = (0,) * len(TRIGGERS)  # in the order of TRIGGERS
    finished: tuple[int, ...] = (0,) * len(FINISHED_STATUSES)  # in the order of FINISHED_STATUSES
    seconds: tuple[float, ...] = (0.0,) * len(FINISHED_STATUSES)  # wall time, the same order
    bucket_bounds: tuple[float, ...] = ()  # of the histogram, seconds, ascending, without +Inf
    buckets: tuple[int, ...] = ()  # SUCCESS durations per bound, not cumulative, the last one is +Inf
    bucket_sum: float = 0.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineState:
    """One pipeline: what its gauges and counters say, and what keeps it alive."""

    key: PipelineKey
    first_seen_at: datetime
    watched_since: datetime  # what finished before is history
    pipeline_type: str = ""
    listed_at: datetime | None = None  # since when the listings of published pipelines have had it; None: never
    missing_listings: int = 0  # good listings in a row that did not have it any more
    missing_since: datetime | None = None  # the first of those
    last_activity_at: datetime | None = None  # newest start, end or sight of one of its runs
    last_run: FinishedRun | None = None
    recent: RecentRuns = field(default_factory=RecentRuns)
    last_success: FinishOrder | None = None
    streak: FailureStreak = field(default_factory=FailureStreak)
    counts: RunCounts = field(default_factory=RunCounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A list that is read page by page between polls; each page is committed with the sweep's new value."""

    origin: Origin
    started_after: datetime | None = None
    started_before: datetime | None = None
    token: str | None = None  # the API's own place in the list of just these filters; given up when it is refused
    oldest_read: datetime | None = None  # from where a list with other filters goes on then
    escaped: int = 0  # runs it found that no poll had seen


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeEpoch:
    """From `since` on we watch what `scope` names."""

    since: datetime
    scope: Scope = field(default_factory=Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the account has been read. All instants are the API server's."""

    scopes: tuple[ScopeEpoch, ...] = ()  # oldest first; empty before the first poll
    newest_start_at: datetime | None = None
    polled_at: datetime | None = None  # start of the last good poll
    sweeps: tuple[Sweep, ...] = ()
    audited_at: datetime | None = None
    forbidden_swept_at: datetime | None = None  # all FORBIDDEN pages read in this scope; None until then
    undated_forbidden: bool = False  # whether one of them had no times
    possibly_missed: int = 0
    possibly_missed_at: datetime | None = None
    baseline_failures: int = 0  # FAILED and FORBIDDEN runs of history: suppressed, reason baseline
    pruned: tuple[tuple[str, int], ...] = (("deleted", 0), ("filtered", 0), ("idle", 0))

    @property
    def first_poll_of_scope(self) -> bool:
        """Whether no poll has ended since this scope began: then all that is found finished is history."""
        return self.polled_at is None or not self.scopes or self.polled_at < self.scopes[-1].since


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All of it. `unfinished` holds followed and vanished runs; finished ones are in the store only."""

    cursor: Cursor = field(default_factory=Cursor)
    unfinished: Mapping[str, RunRecord] = field(default_factory=dict)
    pipelines: Mapping[PipelineKey, PipelineState] = field(default_factory=dict)
    project_names: Mapping[str, str] = field(default_factory=dict)  # project id -> name
    introduced: Mapping[PipelineKey, int] = field(default_factory=dict)
    """Pipelines first known by a run -> polls for which their counters still show 0 (not stored)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one whole read saw; a read that failed has none."""

    origin: Origin
    server_now: datetime  # the API server's clock when the read began
    runs: tuple[Run, ...] = ()  # in any order; a run may repeat
    missing: frozenset[str] = frozenset()  # run ids that were asked for one by one and are unknown to the API


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a step changed: the rows that one commit writes."""

    runs: tuple[RunRecord, ...] = ()  # new or changed, each id once
    pipelines: tuple[PipelineState, ...] = ()  # new or changed
    pruned_pipelines: tuple[PipelineKey, ...] = ()
    forgotten_runs: tuple[str, ...] = ()  # unfinished runs of what left the scope
    project_names: Mapping[str, str] = field(default_factory=dict)  # new or renamed
    cursor: Cursor | None = None  # None when it stands as it was

    def then(self, later: Change) -> Change:
        """Both as one; of what both write, the later."""
        return Change(
            runs=tuple({record.run.run_id: record for record in (*self.runs, *later.runs)}.values()),
            pipelines=tuple({pipeline.key: pipeline for pipeline in (*self.pipelines, *later.pipelines)}.values()),
            pruned_pipelines=(*self.pruned_pipelines, *later.pruned_pipelines),
            forgotten_runs=(*self.forgotten_runs, *later.forgotten_runs),
            project_names={**self.project_names, **later.project_names},
            cursor=later.cursor or self.cursor,
        )

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(
            self.runs
            or self.pipelines
            or self.pruned_pipelines
            or self.forgotten_runs
            or self.project_names
            or self.cursor is not None
        )
