"""What is written is what is read; a finished run is final; what is old is let go."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text, update

from exporter.core.model import Status, Trigger
from exporter.core.recent import RecentRun, RecentRuns
from exporter.core.state import Change, Cursor, FinishedRun, RunCounts, State
from exporter.store import record, schema
from exporter.store.errors import StoreCorrupt

from .values import (
    EXPORT,
    LOAD,
    NOON,
    as_change,
    changes,
    finished,
    minutes,
    pipeline,
    records,
    running,
    states,
    vanished,
)

# Every example begins with empty tables, so it may share the store with the others.
one_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.fixture
def connection(database):
    with database.transaction() as connection:
        yield connection


def emptied(connection):
    for table in (schema.run, schema.pipeline, schema.project, schema.cursor):
        connection.execute(delete(table))
    return connection


def write(connection, *runs, **change):
    record.write(connection, Change(runs=runs, **change))


@one_store
@given(state=states)
def test_any_state_comes_back_as_it_was_written(connection, state):
    record.write(emptied(connection), as_change(state))
    assert record.load(connection) == state


@one_store
@given(kept=records)
def test_any_run_comes_back_as_it_was_written(connection, kept):
    write(emptied(connection), kept)
    assert record.find(connection, kept.run.run_id) == kept


@one_store
@given(first=changes, second=changes)
def test_writing_a_change_twice_is_writing_it_once(connection, first, second):
    record.write(emptied(connection), first)
    record.write(connection, second)
    once = everything(connection)
    record.write(connection, second)
    assert everything(connection) == once


@one_store
@given(steps=st.lists(changes, max_size=6))
def test_the_record_is_what_the_changes_add_up_to(connection, steps):
    emptied(connection)
    for change in steps:
        record.write(connection, change)
    assert everything(connection) == sum_of(steps)


def everything(connection):
    state = record.load(connection)
    ended = {record_.run.run_id: record_ for record_ in record.newest_finished(connection, limit=100)}
    return state, ended


def sum_of(steps):
    """The same in dictionaries."""
    ended, unfinished, pipelines, names, cursor = {}, {}, {}, {}, Cursor()
    for change in steps:
        for kept in change.runs:
            if kept.run.run_id not in ended:
                unfinished.pop(kept.run.run_id, None)
                (unfinished if kept.finished_seen_at is None else ended)[kept.run.run_id] = kept
        for run_id in change.forgotten_runs:
            unfinished.pop(run_id, None)
        pipelines.update({one.key: one for one in change.pipelines})
        for key in change.pruned_pipelines:
            pipelines.pop(key, None)
        names.update(change.project_names)
        cursor = change.cursor or cursor
    return State(cursor=cursor, unfinished=unfinished, pipelines=pipelines, project_names=names), ended


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (running(), "a late row that still shows it running"),
        (vanished(), "the API has forgotten it"),
        (finished(status=Status.FAILED, end=NOON + minutes(9)), "a later read contradicts the first"),
        (replace(finished(), history=True), "a sweep of history finds it again"),
    ],
)
def test_a_finished_run_is_final(connection, later, reason):
    write(connection, finished())
    write(connection, later)
    assert record.find(connection, "r1") == finished(), reason
    assert not record.load(connection).unfinished


def test_a_finished_run_is_not_forgotten_with_what_left_the_scope(connection):
    write(connection, finished("ended"), running("runs"))
    write(connection, forgotten_runs=("ended", "runs"))
    assert record.find(connection, "ended") == finished("ended")
    assert record.find(connection, "runs") is None


def test_an_unfinished_run_is_kept_up_to_date_until_it_ends(connection):
    for step in (running(), running(status=Status.CANCELLING, cancelling_since=NOON), vanished(), running()):
        write(connection, step)
        assert record.load(connection).unfinished == {"r1": step}
    write(connection, finished())
    assert record.load(connection).unfinished == {}


def test_settled_are_the_runs_that_are_recorded_as_finished(connection):
    ended = [f"ended-{number}" for number in range(1_200)]  # more than one statement takes
    write(connection, *map(finished, ended), running("runs"), vanished("gone"))
    assert record.settled(connection, [*ended, "runs", "gone", "unheard of"]) == set(ended)
    assert record.settled(connection, []) == frozenset()


def test_a_run_that_is_not_recorded_is_not_found(connection):
    assert record.find(connection, "r1") is None


ORDERED = (
    finished("by end", end=NOON + minutes(3)),
    finished("without end", end=None, started_at=NOON + minutes(2)),
    finished("tie b", Status.FAILED, end=NOON + minutes(1), pipeline=EXPORT),
    finished("tie a", Status.FORBIDDEN, end=NOON + minutes(1)),
    finished("undated", Status.FORBIDDEN, end=None, started_at=None),  # first seen at noon
    finished("long ago", end=NOON - minutes(1)),
)


def ids(found):
    return [one.run.run_id for one in found]


def test_the_newest_finished_runs_come_by_end_else_start_else_first_sight_and_ties_by_id(connection):
    write(connection, *reversed(ORDERED), running("runs", started_at=NOON + minutes(9)))
    assert record.newest_finished(connection, limit=100) == list(ORDERED)
    assert ids(record.newest_finished(connection, limit=2)) == ["by end", "without end"]


def test_the_newest_failures_are_those_that_people_are_woken_for(connection):
    write(connection, *ORDERED)
    assert ids(record.newest_failures(connection, limit=100)) == ["tie b", "tie a", "undated"]
    assert ids(record.newest_failures(connection, limit=1)) == ["tie b"]


def test_the_runs_of_a_pipeline_are_its_own_finished_or_not(connection):
    write(connection, *ORDERED, running("runs", pipeline=EXPORT, started_at=NOON + minutes(9)))
    assert ids(record.runs_of(connection, EXPORT, limit=100)) == ["runs", "tie b"]
    assert ids(record.runs_of(connection, LOAD, limit=2)) == ["by end", "without end"]
    assert record.runs_of(connection, replace(LOAD, environment_name="test"), limit=9) == []


OLD = NOON - minutes(600)
HOUR_AGO = NOON - minutes(60)


@pytest.mark.parametrize(
    ("kept", "goes", "reason"),
    [
        (finished(end=OLD), True, "it ended before"),
        (finished(end=None, started_at=OLD), True, "no end: it started before"),
        (finished(end=None, started_at=None), False, "neither: it was first seen after"),
        (finished(end=NOON, started_at=OLD), False, "it started before, but ended after"),
        (vanished(started_at=OLD), True, "nobody follows it any more"),
        (running(started_at=OLD), False, "it still runs: polls follow it"),
        (running(started_at=OLD, missing_since=NOON), False, "missing once: polls follow it"),
    ],
)
def test_what_goes_when_old_runs_are_let_go(connection, kept, goes, reason):
    write(connection, kept)
    assert record.prune(connection, before=HOUR_AGO, keep=(), limit=10) == goes, reason
    assert (record.find(connection, "r1") is None) == goes, reason


def test_old_runs_are_let_go_in_batches_oldest_first_and_never_those_to_keep(connection):
    write(connection, *[finished(f"r{number}", end=OLD + minutes(number)) for number in range(7)])

    def pruned(before=HOUR_AGO):
        return record.prune(connection, before=before, keep={"r0", "r3"}, limit=2)

    def left():
        return sorted(ids(record.newest_finished(connection, limit=100)))

    assert pruned() == 2
    assert left() == ["r0", "r3", "r4", "r5", "r6"]
    assert pruned(before=OLD + minutes(5)) == 1, "an instant is not before itself"
    assert left() == ["r0", "r3", "r5", "r6"]
    assert [pruned(), pruned()] == [2, 0]
    assert left() == ["r0", "r3"]


@pytest.mark.parametrize("kind", [list, set])
def test_old_runs_are_found_behind_many_to_keep(connection, kind):
    keep = kind(f"kept-{number}" for number in range(3_000))
    write(connection, *[finished(run_id, end=OLD) for run_id in keep])
    write(connection, *[finished(f"r{number}", end=OLD + minutes(1)) for number in range(5)])
    assert [record.prune(connection, before=HOUR_AGO, keep=keep, limit=3) for _ in range(3)] == [3, 2, 0]
    assert set(ids(record.newest_finished(connection, limit=9_999))) == set(keep)


def test_counters_and_the_last_success_outlive_the_runs(connection):
    kept = pipeline(last_success=(OLD.timestamp(), "r1"), counts=RunCounts(bucket_sum=0.1 + 0.2))
    write(connection, finished(end=OLD), pipelines=(kept,))
    assert record.prune(connection, before=NOON, keep=(), limit=10) == 1
    assert record.load(connection).pipelines == {LOAD: kept}


# Other versions


def change_text(connection, table, column, old, new):
    found = connection.execute(text(f"SELECT {column} FROM {table}")).scalar_one()
    assert old in found
    connection.execute(text(f"UPDATE {table} SET {column} = :new"), {"new": found.replace(old, new)})


def test_fields_that_a_later_version_has_added_are_passed_over(connection):
    write(connection, pipelines=(pipeline(),), cursor=Cursor(possibly_missed=3))
    change_text(connection, "pipeline", "state", '"missing_listings":0', '"missing_listings":0,"mood":{"good":[1]}')
    change_text(connection, "cursor", "v", '"possibly_missed":3', '"possibly_missed":3,"mood":null')
    state = record.load(connection)
    assert state.pipelines == {LOAD: pipeline()}
    assert state.cursor == Cursor(possibly_missed=3)


def test_fields_that_an_earlier_version_did_not_have_get_their_defaults(connection):
    write(connection, pipelines=(pipeline(),), cursor=Cursor(possibly_missed=3))
    change_text(connection, "pipeline", "state", '"missing_listings":0,', "")
    change_text(connection, "cursor", "v", '"baseline_failures":0,', "")
    state = record.load(connection)
    assert state.pipelines == {LOAD: pipeline()}
    assert state.cursor == Cursor(possibly_missed=3)


def test_the_last_runs_that_an_earlier_version_has_written_are_read(connection):
    recent = RecentRuns.of([RecentRun(1.5, "r1", Status.FAILED, None), RecentRun(2.5, "r2", Status.SUCCESS, 3.0)])
    write(connection, pipelines=(pipeline(),))
    change_text(
        connection, "pipeline", "state", '"recent":""', '"recent":[[1.5,"r1","FAILED",null],[2.5,"r2","SUCCESS",3.0]]'
    )
    assert record.load(connection).pipelines[LOAD].recent == recent


def test_words_that_only_a_later_version_knows_are_unknown(connection):
    write(connection, running())
    connection.execute(update(schema.run).values(status="PAUSED", run_trigger="WEBHOOK"))
    run = record.load(connection).unfinished["r1"].run
    assert (run.status, run.trigger) == (Status.UNKNOWN, Trigger.UNKNOWN)


@pytest.mark.parametrize(
    ("table", "column", "old", "new", "reason"),
    [
        ("pipeline", "state", "{", "", "no JSON"),
        ("pipeline", "state", '"SUCCESS"', '"GOOD"', "a word nobody knows where one must be known"),
        ("cursor", "v", '"possibly_missed":0', '"possibly_missed":"?"', "another type"),
    ],
)
def test_a_row_that_nobody_wrote_is_a_damaged_record(connection, table, column, old, new, reason):
    last = FinishedRun(
        order=(0.0, "r"), status=Status.SUCCESS, started_at=None, finished_at=None, duration_seconds=None
    )
    write(connection, pipelines=(pipeline(last_run=last),), cursor=Cursor())
    change_text(connection, table, column, old, new)
    with pytest.raises(StoreCorrupt, match=r"a row holds what we never wrote.*restore it from a backup"):
        record.load(connection)
