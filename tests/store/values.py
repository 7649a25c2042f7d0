"""Runs, pipelines and states to keep: by hand, or by hypothesis out of everything that a row must hold."""

from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from importlib import import_module
from inspect import isclass
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from exporter.core.model import PipelineKey, Run, Status
from exporter.core.recent import RecentRun, RecentRuns
from exporter.core.state import Change, Cursor, PipelineState, RunRecord, State

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LOAD = PipelineKey("5e1f0000-aaaa-4bbb-8ccc-000000000001", "prod", "finance/load.orch.yaml")
EARLIER = NOON - timedelta(minutes=5)
EXPORT = PipelineKey("5e1f0000-aaaa-4bbb-8ccc-000000000001", "prod", "finance/export.orch.yaml")


def minutes(number):
    return timedelta(minutes=number)


def running(run_id="r1", *, pipeline=LOAD, status=Status.RUNNING, started_at=NOON, **known):
    run = Run(run_id=run_id, pipeline=pipeline, status=status, status_text=status.value, started_at=started_at)
    return RunRecord(run=run, **{"first_seen_at": NOON, **known})


def finished(run_id="r1", status=Status.SUCCESS, *, pipeline=LOAD, end=NOON, started_at=EARLIER, message=""):
    run = Run(
        run_id=run_id,
        pipeline=pipeline,
        status=status,
        status_text=status.value,
        started_at=started_at,
        finished_at=end,
        message=message,
    )
    return RunRecord(run=run, first_seen_at=NOON, finished_seen_at=NOON + minutes(1))


def vanished(run_id="r1", *, started_at=NOON):
    return running(run_id, started_at=started_at, missing_since=NOON, vanished_at=NOON + minutes(1))


def pipeline(key=LOAD, **known):
    return PipelineState(**{"key": key, "first_seen_at": NOON, "watched_since": NOON, **known})


def as_change(state):
    return Change(
        runs=tuple(state.unfinished.values()),
        pipelines=tuple(state.pipelines.values()),
        project_names=state.project_names,
        cursor=state.cursor,
    )


# By hypothesis: a strategy for each type that a field can have, so that a new field is tried by itself.

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)  # clean at the edge
numbers = st.integers(min_value=0, max_value=2**53)

SIMPLE = {
    str: texts,
    int: numbers,
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),  # year 1 to 9999, to the microsecond
    type(None): st.none(),
}


@cache
def anything(kind):
    """Strategy for a type as the fields of the state have it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in SIMPLE:
        return SIMPLE[kind]
    if kind is RecentRuns:
        return st.lists(anything(RecentRun), max_size=3).map(RecentRuns.of)
    if origin is UnionType:
        return st.one_of(*map(anything, arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(anything(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(anything, arguments))
    if isclass(kind) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if isclass(kind) and issubclass(kind, tuple):  # a NamedTuple
        return st.builds(kind, **{name: anything(hint) for name, hint in get_type_hints(kind).items()})
    if is_dataclass(kind):
        return st.builds(kind, **{name: anything(hint) for name, hint in fields_of(kind).items()})
    raise AssertionError(f"how is {kind} kept?")


def fields_of(kind):
    return get_type_hints(kind, vars(import_module(kind.__module__)) | {"datetime": datetime})


records = anything(RunRecord)
states = st.builds(
    State,
    cursor=anything(Cursor),
    unfinished=st.lists(records.filter(lambda record: record.finished_seen_at is None), max_size=4).map(
        lambda found: {record.run.run_id: record for record in found}
    ),
    pipelines=st.lists(anything(PipelineState), max_size=4).map(lambda found: {one.key: one for one in found}),
    project_names=st.dictionaries(texts, texts, max_size=3),
)

few_ids = st.sampled_from(["r1", "r2", "r3"])
few_runs = st.builds(
    lambda run_id, done, number: (
        finished(run_id, message=str(number)) if done else running(run_id, status=Status.RUNNING)
    ),
    few_ids,
    st.booleans(),
    st.integers(0, 9),
)
changes = st.builds(
    Change,
    runs=st.lists(few_runs, max_size=3, unique_by=lambda record: record.run.run_id).map(tuple),
    forgotten_runs=st.lists(few_ids, max_size=1).map(tuple),
    pipelines=st.lists(
        st.builds(lambda key, number: pipeline(key, missing_listings=number), st.sampled_from([LOAD, EXPORT]), numbers),
        max_size=2,
        unique_by=lambda one: one.key,
    ).map(tuple),
    pruned_pipelines=st.lists(st.sampled_from([LOAD, EXPORT]), max_size=1).map(tuple),
    project_names=st.dictionaries(st.sampled_from(["p1", "p2"]), texts, max_size=2),
    cursor=st.none() | st.builds(Cursor, possibly_missed=numbers),
)
