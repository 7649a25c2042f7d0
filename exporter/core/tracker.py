"""How runs move: `advance(state, observed) -> (state, events, change)`. All transitions of a run are in this file.

The rules, which the property tests quote:

- A run is counted as started once, when it is first seen; as finished once, when it is first seen finished; then
  it is final, and no later row changes it.
- What had finished before we watched (`watched_since`), or is found finished by the first poll of a scope, is
  history: it fills the gauges, is counted nowhere and raises no event. What may have ended after is no history:
  instants on the wire are often good to a second only, and nobody must miss a failure of the very first second.
- Rows may repeat, shift, arrive late and in any order: the outcome is the same.
- A run is forgotten only after the API itself has said at two different instants that it does not know it.

Must not read the store (what is settled is handed in), know of pages or tokens, or decide whom to tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

from exporter.core.events import Event, RunFinished, RunStarted, RunVanished
from exporter.core.model import FAILURE_STATUSES, Run, Status
from exporter.core.pipelines import note_activity, note_finished, note_started
from exporter.core.state import Change, Cursor, Observation, Origin, PipelineState, RunRecord, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from exporter.core.model import PipelineKey


@dataclass(frozen=True, slots=True)
class Step:
    """The new state, what happened on the way, and the rows to write."""

    state: State
    events: tuple[Event, ...]
    change: Change


def advance(
    state: State,
    observed: Observation,
    *,
    settled: Collection[str],
    watched_since: Callable[[PipelineKey], datetime],
    cursor: Cursor,
    bucket_bounds: tuple[float, ...] = (),
) -> Step:
    """One step from `state` by what one whole read saw.

    `settled` holds the ids among the observed ones that are recorded as finished; `watched_since` tells for a
    pipeline that is not tracked yet since when it is in scope; `cursor` is the reading's progress, taken over.
    """
    walk = _Walk(state, observed, watched_since, bucket_bounds)
    for run in _strongest(observed.runs):
        if run.run_id not in settled:
            walk.see(run)
    seen = {run.run_id for run in observed.runs}
    for run_id in sorted(observed.missing - seen):
        walk.miss(run_id)
    return walk.finish(cursor)


class _Walk:
    """The draft of one step; lives only inside `advance`."""

    def __init__(
        self,
        state: State,
        observed: Observation,
        watched_since: Callable[[PipelineKey], datetime],
        bucket_bounds: tuple[float, ...],
    ) -> None:
        self.before = state
        self.observed = observed
        self.watched_since = watched_since
        self.bucket_bounds = bucket_bounds
        self.unfinished = dict(state.unfinished)
        self.pipelines = dict(state.pipelines)
        self.events: list[Event] = []
        self.runs: dict[str, RunRecord] = {}
        self.touched: set[PipelineKey] = set()
        self.introduced: set[PipelineKey] = set()
        self.baseline_failures = 0

    def see(self, run: Run) -> None:
        known = self.unfinished.get(run.run_id)
        now = self.observed.server_now
        if known is not None and known.run == run and known.missing_since is None:
            return  # most rows of most polls: nothing new
        if known is None:
            record = RunRecord(run=run, first_seen_at=now)
        else:
            # A run stays with the pipeline it was first seen in, or it would be counted in two.
            filled = replace(run.filled_from(known.run), pipeline=known.run.filled_from(run).pipeline)
            record = replace(known, run=filled, missing_since=None, vanished_at=None)
        pipeline = self._pipeline(record.run)
        if record.run.finished:
            self._finish(record, pipeline, first_sight=known is None)
            return
        if record.run.status is not Status.CANCELLING:
            record = replace(record, cancelling_since=None)
        elif record.cancelling_since is None:
            record = replace(record, cancelling_since=now)
        if record == known:
            return
        if known is None:
            self._start(record, pipeline)
        self.unfinished[run.run_id] = record
        self.runs[run.run_id] = record

    def miss(self, run_id: str) -> None:
        record = self.unfinished.get(run_id)
        if record is None or not record.followed:
            return
        now = self.observed.server_now
        if record.missing_since is None:
            record = replace(record, missing_since=now)
        elif record.missing_since < now:
            record = replace(record, vanished_at=now)
            self.events.append(RunVanished(record))
        else:
            return
        self.unfinished[run_id] = self.runs[run_id] = record

    def finish(self, cursor: Cursor) -> Step:
        cursor = replace(cursor, baseline_failures=self.before.cursor.baseline_failures + self.baseline_failures)
        state = replace(
            self.before,
            cursor=cursor,
            # The same object where nothing changed: whoever looks next need not look again.
            unfinished=self.unfinished if self.runs else self.before.unfinished,
            pipelines=self.pipelines if self.touched else self.before.pipelines,
            introduced=self._introduced(),
        )
        change = Change(
            runs=tuple(self.runs.values()),
            pipelines=tuple(self.pipelines[key] for key in sorted(self.touched)),
            cursor=cursor if cursor != self.before.cursor else None,
        )
        return Step(state, tuple(self.events), change)

    def _start(self, record: RunRecord, pipeline: PipelineState) -> None:
        """Count a run that is seen for the first time, unless it was there before us."""
        started_at = record.run.started_at
        was_there = self._first_poll_of(pipeline) or _surely_before(started_at, pipeline.watched_since)
        pipeline = note_activity(pipeline, started_at or record.first_seen_at)
        if not was_there:
            pipeline = note_started(pipeline, record.run.trigger)
            self.events.append(RunStarted(record))
        self._put(pipeline)

    def _finish(self, record: RunRecord, pipeline: PipelineState, *, first_sight: bool) -> None:
        run = record.run
        history = first_sight and self._is_history(run, pipeline)
        record = replace(record, finished_seen_at=self.observed.server_now, cancelling_since=None, history=history)
        if first_sight and not history:
            self._start(record, pipeline)
            pipeline = self.pipelines[pipeline.key]
        self._put(note_finished(pipeline, record, counted=not history, bucket_bounds=self.bucket_bounds))
        if not history:
            self.events.append(RunFinished(record))
        elif run.status in FAILURE_STATUSES:
            self.baseline_failures += 1
        self.unfinished.pop(run.run_id, None)
        self.runs[run.run_id] = record

    def _is_history(self, run: Run, pipeline: PipelineState) -> bool:
        ended_at = run.finished_at or run.started_at
        if self._first_poll_of(pipeline) or _surely_before(ended_at, pipeline.watched_since):
            return True
        # In the very second, or undated: only the order of reading tells. What the sweeps of a new scope bring up was
        # there before it.
        return self._brings_up_the_past() and (
            self._in_newest_scope(pipeline) if ended_at is None else ended_at <= pipeline.watched_since
        )

    def _brings_up_the_past(self) -> bool:
        still_sweeping = self.before.cursor.forbidden_swept_at is None
        return self.observed.origin is Origin.HISTORY or (self.observed.origin is Origin.FORBIDDEN and still_sweeping)

    def _first_poll_of(self, pipeline: PipelineState) -> bool:
        return self.before.cursor.first_poll_of_scope and self._in_newest_scope(pipeline)

    def _in_newest_scope(self, pipeline: PipelineState) -> bool:
        scopes = self.before.cursor.scopes
        return not scopes or pipeline.watched_since >= scopes[-1].since

    def _pipeline(self, run: Run) -> PipelineState:
        pipeline = self.pipelines.get(run.pipeline)
        if pipeline is None:
            pipeline = PipelineState(
                key=run.pipeline,
                first_seen_at=self.observed.server_now,
                watched_since=self.watched_since(run.pipeline),
                pipeline_type=run.pipeline_type,
            )
            self.introduced.add(run.pipeline)
            self._put(pipeline)
        elif run.pipeline_type and run.pipeline_type != pipeline.pipeline_type:
            pipeline = replace(pipeline, pipeline_type=run.pipeline_type)
            self._put(pipeline)
        return pipeline

    def _put(self, pipeline: PipelineState) -> None:
        self.pipelines[pipeline.key] = pipeline
        self.touched.add(pipeline.key)

    def _introduced(self) -> dict[PipelineKey, int]:
        """Which pipelines show counters at 0 from now on, and for how many more polls.

        One poll is shown whole: what a page between two polls introduces is held over the next poll too.
        """
        polls = self.before.introduced
        if self.observed.origin is Origin.POLL:
            polls = {key: left - 1 for key, left in polls.items() if left > 1}
            return {**polls, **dict.fromkeys(self.introduced, 1)}
        return {**polls, **dict.fromkeys(self.introduced, 2)}


def _strongest(runs: Iterable[Run]) -> list[Run]:
    """One row a run, in an order that does not depend on the order of reading: the furthest state wins.

    What its row left out is taken from the others: a run by id may say less than its row in a list, or more.
    """
    rows: dict[str, list[Run]] = {}
    for run in runs:
        rows.setdefault(run.run_id, []).append(run)
    best = (
        of_one[0] if len(of_one) == 1 else reduce(Run.filled_from, sorted(of_one, key=_strength, reverse=True))
        for of_one in rows.values()
    )
    return sorted(best, key=lambda run: (run.started_at is None, run.started_at or 0, run.run_id))


_UNFINISHED_ORDER = {Status.RUNNING: 0, Status.UNKNOWN: 1, Status.CANCELLING: 2}


def _strength(run: Run) -> tuple[object, ...]:
    """Finished beats unfinished, CANCELLING beats RUNNING, a row with times beats one without; then any fixed order."""
    return (
        run.finished,
        _UNFINISHED_ORDER.get(run.status, 3),
        run.finished_at is not None,
        run.started_at is not None,
        repr(run),
    )


def _surely_before(instant: datetime | None, since: datetime) -> bool:
    """Whether it was before, even if its fraction of a second was cut off."""
    return instant is not None and instant < since.replace(microsecond=0)
