"""What is in scope, and since when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.core.globs import Scope
from exporter.core.model import PipelineKey
from exporter.core.scope import EPOCHS_KEPT, begin_scope, covers, rescope, watched_since
from exporter.core.state import Cursor, Origin, PipelineState, RunRecord, ScopeEpoch, State, Sweep

from .ledger import EXPORT, LOAD, REFRESH, T0, WATCHING, minutes, run

WEEK = timedelta(days=7)
NAMES = {"p1": "Finance", "p2": "Marketing"}
ALL, FINANCE, MARKETING = Scope(), Scope(projects=("Fin*",)), Scope(projects=("p2",))


def epochs(*scopes):
    """The scopes one after the other, an hour each, the last one from T0."""
    since = T0 - timedelta(hours=len(scopes) - 1)
    return tuple(ScopeEpoch(since=since + timedelta(hours=n), scope=scope) for n, scope in enumerate(scopes))


@pytest.mark.parametrize(
    ("scope", "key", "inside"),
    [
        (ALL, LOAD, True),
        (FINANCE, LOAD, True),  # by name
        (MARKETING, REFRESH, True),  # by id
        (FINANCE, REFRESH, False),
        (FINANCE, PipelineKey("unheard-of", "prod", "x.yaml"), False),  # no name, and its id is no match
        (ALL, PipelineKey("", "", "x.yaml"), True),
        (Scope(exclude_pipelines=("load",)), LOAD, False),
    ],
)
def test_a_pipeline_is_in_scope_by_its_names_and_its_projects_id(scope, key, inside):
    assert covers(scope, key, NAMES) is inside


@pytest.mark.parametrize(
    ("scopes", "hours"),
    [
        ([ALL], 0),
        ([ALL, FINANCE], 1),  # both cover it
        ([FINANCE, ALL, FINANCE], 2),
        ([FINANCE, MARKETING, FINANCE], 0),  # a break
        ([FINANCE, MARKETING, ALL, FINANCE], 1),
    ],
)
def test_a_pipeline_is_watched_since_it_came_into_scope_without_a_break(scopes, hours):
    assert watched_since(Cursor(scopes=epochs(*scopes)), LOAD, NAMES) == T0 - timedelta(hours=hours)


def test_the_first_scope_begins_with_nothing_to_read_again():
    begun = begin_scope(Cursor(), ALL, T0, lookback=WEEK)
    assert begun == Cursor(scopes=(ScopeEpoch(since=T0, scope=ALL),))


def test_the_same_scope_goes_on():
    cursor = Cursor(scopes=epochs(FINANCE), polled_at=T0)
    assert begin_scope(cursor, replace(FINANCE), T0 + minutes(5), lookback=WEEK) is cursor


def test_another_scope_has_its_past_read_afresh():
    sweeps = tuple(Sweep(origin=origin) for origin in (Origin.CATCH_UP, Origin.FORBIDDEN, Origin.HISTORY, Origin.AUDIT))
    cursor = Cursor(scopes=epochs(FINANCE), polled_at=T0, forbidden_swept_at=T0, sweeps=sweeps)
    now = T0 + minutes(5)
    begun = begin_scope(cursor, ALL, now, lookback=WEEK)
    assert begun.scopes[-1] == ScopeEpoch(since=now, scope=ALL)
    assert begun.forbidden_swept_at is None
    history = Sweep(origin=Origin.HISTORY, started_after=now - WEEK, started_before=now)
    assert begun.sweeps == (sweeps[0], sweeps[3], history)
    assert begun.first_poll_of_scope


def test_a_scope_that_begins_within_the_second_of_the_last_poll_is_later_than_it():
    begun = begin_scope(Cursor(scopes=epochs(FINANCE), polled_at=T0), ALL, T0 - minutes(1), lookback=WEEK)
    assert begun.first_poll_of_scope


def test_only_the_newest_scopes_are_remembered():
    cursor = Cursor()
    for number in range(EPOCHS_KEPT + 5):
        cursor = begin_scope(cursor, Scope(pipelines=(f"{number}",)), T0 + minutes(number), lookback=WEEK)
    assert len(cursor.scopes) == EPOCHS_KEPT
    assert cursor.scopes[-1].scope == Scope(pipelines=(f"{EPOCHS_KEPT + 4}",))


def held(cursor, *keys):
    """A state with these pipelines, each with an unfinished run."""
    return State(
        cursor=cursor,
        pipelines={key: PipelineState(key=key, first_seen_at=T0, watched_since=T0 - WEEK) for key in keys},
        unfinished={
            key.pipeline_name: RunRecord(run=run(key.pipeline_name, pipeline=key), first_seen_at=T0) for key in keys
        },
        project_names=NAMES,
    )


def test_what_leaves_the_scope_is_let_go_and_counted():
    cursor = Cursor(scopes=epochs(ALL, FINANCE), polled_at=T0 - minutes(1))
    state, change = rescope(held(cursor, LOAD, EXPORT, REFRESH))
    assert set(state.pipelines) == {LOAD, EXPORT}
    assert {name: record.run.pipeline for name, record in state.unfinished.items()} == {
        LOAD.pipeline_name: LOAD,
        EXPORT.pipeline_name: EXPORT,
    }
    assert change.forgotten_runs == (REFRESH.pipeline_name,)
    assert (change.pipelines, change.pruned_pipelines) == ((), ())  # its counters stay in the record
    assert dict(state.cursor.pruned)["filtered"] == dict(change.cursor.pruned)["filtered"] == 1
    assert state.pipelines[LOAD].watched_since == T0 - WEEK


def test_all_that_leaves_is_counted_wherever_it_stands_among_the_others():
    cursor = Cursor(scopes=epochs(ALL, FINANCE), polled_at=T0 - minutes(1))
    another = replace(REFRESH, pipeline_name="another.yaml")
    state, _ = rescope(held(cursor, another, LOAD, REFRESH, EXPORT))
    assert set(state.pipelines) == {LOAD, EXPORT}
    assert dict(state.cursor.pruned)["filtered"] == 2


def test_what_comes_back_into_scope_is_watched_anew():
    cursor = Cursor(scopes=epochs(FINANCE, ALL), polled_at=T0 - minutes(1))
    state, change = rescope(held(cursor, LOAD, REFRESH))
    assert state.pipelines[REFRESH].watched_since == T0
    assert change.pipelines == (state.pipelines[REFRESH],)
    assert dict(state.cursor.pruned)["filtered"] == 0


@pytest.mark.parametrize(
    ("scopes", "polled_at"),
    [
        ([ALL, FINANCE], T0 + minutes(1)),  # this scope's first poll is over: it was counted then
        ([FINANCE], T0),  # there was no other scope
        ([MARKETING, FINANCE, FINANCE], T0 - minutes(1)),  # it had left before
    ],
)
def test_what_had_left_before_is_cut_away_and_not_counted_again(scopes, polled_at):
    gone = PipelineKey("p3", "prod", "x.yaml")
    state, _ = rescope(held(Cursor(scopes=epochs(*scopes), polled_at=polled_at), LOAD, gone))
    assert set(state.pipelines) == {LOAD}
    assert dict(state.cursor.pruned)["filtered"] == 0


def test_a_scope_without_a_poll_is_in_its_first_one():
    assert Cursor().first_poll_of_scope
    assert replace(WATCHING, polled_at=None).first_poll_of_scope
    assert not WATCHING.first_poll_of_scope
