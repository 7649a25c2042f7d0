"""Runs by hand or by hypothesis, and a `Ledger` that takes steps and keeps what they write, as the service does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from exporter.core.events import RunFinished, RunStarted
from exporter.core.model import FINISHED_STATUSES, PipelineKey, Run, Status, Trigger
from exporter.core.scope import watched_since
from exporter.core.state import Cursor, Observation, Origin, RunRecord, ScopeEpoch, State
from exporter.core.tracker import advance

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOAD = PipelineKey("p1", "prod", "finance/load.orch.yaml")
EXPORT = PipelineKey("p1", "prod", "finance/export.orch.yaml")
REFRESH = PipelineKey("p2", "prod", "refresh.orch.yaml")
WATCHING = Cursor(scopes=(ScopeEpoch(since=T0),), polled_at=T0, forbidden_swept_at=T0)
"""The first poll and the baseline are over."""


def minutes(number):
    return timedelta(minutes=number)


def run(run_id="r1", status="RUNNING", *, start=1, end=None, pipeline=LOAD, **fields):
    """A run; `start` and `end` are minutes after T0, None for none."""
    return Run(
        run_id=run_id,
        pipeline=pipeline,
        status=Status(status),
        status_text=status,
        started_at=None if start is None else T0 + minutes(start),
        finished_at=None if end is None else T0 + minutes(end),
        **fields,
    )


@dataclass
class Ledger:
    """A state with its steps' events and rows. `settled` is what a store would answer."""

    state: State = field(default_factory=lambda: State(cursor=WATCHING))
    events: list = field(default_factory=list)
    records: dict[str, RunRecord] = field(default_factory=dict)
    bucket_bounds: tuple[float, ...] = ()

    def observe(self, *runs, at=1, origin=Origin.POLL, missing=(), cursor=None):
        """One step at `at` minutes after T0."""
        now = T0 + minutes(at)
        if cursor is None:
            cursor = replace(self.state.cursor, polled_at=now) if origin is Origin.POLL else self.state.cursor
        ids = {each.run_id for each in runs} - self.state.unfinished.keys()
        step = advance(
            self.state,
            Observation(origin=origin, server_now=now, runs=tuple(runs), missing=frozenset(missing)),
            settled={run_id for run_id in ids if run_id in self.records and self.records[run_id].finished_seen_at},
            watched_since=lambda key: watched_since(self.state.cursor, key, self.state.project_names),
            cursor=cursor,
            bucket_bounds=self.bucket_bounds,
        )
        self.state = step.state
        self.events += step.events
        self.records.update((record.run.run_id, record) for record in step.change.runs)
        return step

    def counts(self, key=LOAD):
        """(runs started, {status: runs finished}) of a pipeline, without zeros."""
        counts = self.state.pipelines[key].counts
        finished = {s.value: n for s, n in zip(FINISHED_STATUSES, counts.finished, strict=True) if n}
        return sum(counts.started), finished

    def told(self):
        """The events' keys, in order."""
        return [event.key for event in self.events]


# By hypothesis: lives of runs, and rows that show them at some instant.

KEYS = st.sampled_from([LOAD, EXPORT, REFRESH])
ENDS = st.sampled_from(["SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN"])


@dataclass(frozen=True)
class Life:
    """What a run really does; instants are minutes after T0."""

    run_id: str
    pipeline: PipelineKey
    start: int
    end: int
    cancelling: int
    outcome: str
    dated: bool

    def row(self, at):
        """How the API shows it at an instant; None before its start."""
        if at < self.start:
            return None
        status = self.outcome if at >= self.end else "CANCELLING" if at >= self.cancelling else "RUNNING"
        return run(
            self.run_id,
            status,
            pipeline=self.pipeline,
            start=self.start if self.dated else None,
            end=self.end if self.dated and at >= self.end else None,
            trigger=Trigger.API,
        )


@st.composite
def lives(draw, *, earliest=-30, latest=30, least=1, most=8, keys=KEYS, dated=None):
    found = []
    for number in range(draw(st.integers(least, most))):
        start = draw(st.integers(earliest, latest))
        end = start + draw(st.integers(0, 40))
        dates = draw(st.booleans()) if dated is None else dated
        life = Life(
            f"r{number}",
            draw(keys),
            start,
            end,
            draw(st.integers(start, end + 20)),
            draw(ENDS),
            dates or end - start > 0,
        )
        found.append(life)
    return found


@st.composite
def stories(draw, *, stale=0, **of_lives):
    """Observations of some lives, in the order of time: (minute, origin, rows, missing)."""
    living = draw(lives(**of_lives))
    story, at = [], 0
    for _ in range(draw(st.integers(1, 6))):
        at += draw(st.integers(1, 15))
        rows, missing = [], []
        for life in draw(st.lists(st.sampled_from(living), max_size=10)):
            row = life.row(at - draw(st.integers(0, stale)))
            if row is not None and draw(st.integers(0, 9)):
                rows.append(row)
            else:
                missing.append(life.run_id)
        seen = {row.run_id for row in rows}
        story.append((at, draw(st.sampled_from(Origin)), rows, [each for each in missing if each not in seen]))
    return story


def finished_ids(events):
    return [event.record.run.run_id for event in events if isinstance(event, RunFinished)]


def started_ids(events):
    return [event.record.run.run_id for event in events if isinstance(event, RunStarted)]
