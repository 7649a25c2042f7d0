"""States to render: built by hand, or by hypothesis out of hostile parts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from exporter.core.model import ACTIVE_STATUSES, FINISHED_STATUSES, PipelineKey, Run, Status
from exporter.core.state import (
    TRIGGERS,
    Cursor,
    FailureStreak,
    FinishedRun,
    PipelineState,
    RunCounts,
    RunRecord,
    State,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FINANCE = "5e1f0000-aaaa-4bbb-8ccc-000000000001"
SALES = "77aa0000-aaaa-4bbb-8ccc-000000000002"
KEY = PipelineKey(FINANCE, "prod", "finance/load.orch.yaml")
BOUNDS = (60.0, 3600.0)


def pipeline(key=KEY, **fields):
    return PipelineState(**{"key": key, "first_seen_at": NOON, "watched_since": NOON, **fields})


def finished(status, *, start=NOON - timedelta(hours=1), end=NOON):
    both = start is not None and end is not None
    return FinishedRun(
        order=((end or start or NOON).timestamp(), "r"),
        status=status,
        started_at=start,
        finished_at=end,
        duration_seconds=(end - start).total_seconds() if both else None,
    )


def active(run_id, status=Status.RUNNING, *, key=KEY, start=NOON, **fields):
    run = Run(run_id=run_id, pipeline=key, status=status, status_text=str(status), started_at=start)
    return RunRecord(run=run, first_seen_at=NOON, **fields)


def state(*pipelines, runs=(), **fields):
    names = {FINANCE: "Finance", SALES: "Sales"}
    return State(
        pipelines={one.key: one for one in pipelines},
        unfinished={record.run.run_id: record for record in runs},
        **{"project_names": names, **fields},
    )


def small_state():
    """One pipeline that has done everything, one that has never run, one of nobody."""
    busy = pipeline(
        pipeline_type="ORCHESTRATION",
        last_run=finished(Status.FAILED),
        last_success=((NOON - timedelta(days=1)).timestamp(), "s"),
        streak=FailureStreak(orders=((NOON.timestamp(), "r"),), older=2),
        counts=RunCounts(
            started=(1, 2, 3, 4, 5),
            finished=(10, 11, 12, 13, 14, 15),
            seconds=(100.5, 0.25, 0.0, 0.0, 0.0, 1e6),
            bucket_bounds=BOUNDS,
            buckets=(1, 4, 2),
            bucket_sum=7250.5,
        ),
    )
    listed = pipeline(PipelineKey(SALES, "test", 'say "hi"\\\n.yaml'), listed_at=NOON)
    orphan = pipeline(PipelineKey("", "", "a.yaml"), last_run=finished(Status.FORBIDDEN, start=None, end=None))
    runs = (
        active("1", start=NOON - timedelta(minutes=30)),
        active("2", Status.CANCELLING, cancelling_since=NOON - timedelta(minutes=5)),
        active("3", Status.UNKNOWN, start=None),
        active("4", start=NOON - timedelta(days=3), vanished_at=NOON),
    )
    cursor = Cursor(polled_at=NOON, possibly_missed=2, possibly_missed_at=NOON - timedelta(days=2), baseline_failures=7)
    return state(busy, listed, orphan, runs=runs, cursor=cursor)


HOSTILE = [
    "",
    "unknown",
    "x",
    "x (5e1f0000)",
    'q"',
    "b\\",
    "n\n",
    "z\0",
    "z\ufffd",
    "\u202ertl",
    "\ud800",
    "unknown #2",
]
PROJECT_IDS = ["", "x", FINANCE, SALES, "5e1f0000-other", "unknown"]

names = st.sampled_from(HOSTILE) | st.text(max_size=8)
numbers = st.integers(0, 10**9)
seconds = st.floats(0, 1e12)
SECONDS = (datetime(2020, 1, 1, tzinfo=UTC).timestamp(), datetime(2030, 1, 1, tzinfo=UTC).timestamp())
instants = st.floats(*SECONDS).map(lambda second: datetime.fromtimestamp(second, UTC))
maybe_instants = st.none() | instants
keys = st.builds(PipelineKey, st.sampled_from(PROJECT_IDS), names, names)


def tuples_of(numbers_, length):
    return st.tuples(*[numbers_] * length)


counts = st.builds(
    RunCounts,
    started=tuples_of(numbers, len(TRIGGERS)),
    finished=tuples_of(numbers, len(FINISHED_STATUSES)),
    seconds=tuples_of(seconds, len(FINISHED_STATUSES)),
) | st.builds(RunCounts, bucket_bounds=st.just(BOUNDS), buckets=tuples_of(numbers, len(BOUNDS) + 1), bucket_sum=seconds)
last_runs = st.none() | st.builds(
    finished, st.sampled_from(FINISHED_STATUSES), start=maybe_instants, end=maybe_instants
)
pipelines = st.builds(
    pipeline,
    keys,
    pipeline_type=names,
    last_run=last_runs,
    last_success=st.none() | st.tuples(seconds, st.just("r")),
    streak=st.builds(FailureStreak, older=numbers),
    counts=counts,
)


@st.composite
def states(draw):
    """Any state the tracker might hold, as far as rendering goes."""
    all_pipelines = {one.key: one for one in draw(st.lists(pipelines, max_size=6))}
    records = []
    if all_pipelines:
        some_key = st.sampled_from(list(all_pipelines))
        drawn = st.tuples(some_key, st.sampled_from(ACTIVE_STATUSES), maybe_instants, maybe_instants, maybe_instants)
        for number, (key, status, start, since, vanished) in enumerate(draw(st.lists(drawn, max_size=6))):
            record = active(str(number), status, key=key, start=start)
            records.append(replace(record, cancelling_since=since, vanished_at=vanished))
    introduced = draw(st.sets(st.sampled_from(list(all_pipelines)))) if all_pipelines else set()
    return State(
        pipelines=all_pipelines,
        unfinished={record.run.run_id: record for record in records},
        project_names=draw(st.dictionaries(st.sampled_from(PROJECT_IDS[1:]), names)),
        introduced=dict.fromkeys(introduced, 1),
    )
