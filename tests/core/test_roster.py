"""Which pipelines come with a listing, and which leave."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.core.roster import GOOD_LISTINGS, environments_of, listed, retire
from exporter.core.state import Change, PipelineState, RunRecord, State

from .ledger import EXPORT, LOAD, REFRESH, T0, WATCHING, minutes, run

MONTH = timedelta(days=30)


def state(*pipelines, **fields):
    return State(cursor=WATCHING, pipelines={each.key: each for each in pipelines}, **fields)


def pipeline(key=LOAD, **fields):
    return PipelineState(**{"key": key, "first_seen_at": T0, "watched_since": T0, **fields})


def listing(before, *names, at=1, key=LOAD, whole=True):
    return listed(
        before,
        key.project_id,
        key.environment_name,
        names=names,
        now=T0 + minutes(at),
        watched_since=lambda _: T0,
        whole=whole,
    )


def test_what_is_listed_comes_in_with_its_counters_at_0():
    after, change = listing(state(), "b.yaml", "a.yaml")
    assert [each.key.pipeline_name for each in change.pipelines] == ["a.yaml", "b.yaml"]
    assert after.pipelines == {each.key: each for each in change.pipelines}
    new = change.pipelines[0]
    assert (new.first_seen_at, new.listed_at, new.watched_since) == (T0 + minutes(1), T0 + minutes(1), T0)
    assert not any(new.counts.finished)


def test_a_listing_that_says_nothing_new_changes_nothing():
    before = state(pipeline(listed_at=T0))
    after, change = listing(before, LOAD.pipeline_name)
    assert after is before
    assert change == Change()


def test_a_pipeline_known_by_its_runs_is_listed_from_now_on():
    after, change = listing(state(pipeline()), LOAD.pipeline_name)
    assert after.pipelines[LOAD].listed_at == T0 + minutes(1)
    assert change.pipelines == (after.pipelines[LOAD],)


def test_one_that_is_missing_is_counted_from_the_first_time_until_it_is_back():
    now = state(pipeline(listed_at=T0), pipeline(EXPORT))
    for at in (1, 2):
        now, _ = listing(now, at=at)
    assert (now.pipelines[LOAD].missing_listings, now.pipelines[LOAD].missing_since) == (2, T0 + minutes(1))
    assert now.pipelines[EXPORT] == pipeline(EXPORT)  # never listed: it cannot be missing
    now, _ = listing(now, LOAD.pipeline_name, at=3)
    assert (now.pipelines[LOAD].missing_listings, now.pipelines[LOAD].missing_since) == (0, None)


@pytest.mark.parametrize(
    ("key", "whole"),
    [
        (REFRESH, True),  # another project
        (replace(LOAD, environment_name="test"), True),  # another environment
        (LOAD, False),  # a record could not be read: it may have been this one
    ],
)
def test_a_listing_of_something_else_or_one_that_is_not_whole_proves_nobodys_absence(key, whole):
    after, _ = listing(state(pipeline(listed_at=T0)), "other.yaml", key=key, whole=whole)
    assert after.pipelines[LOAD].missing_listings == 0
    assert replace(key, pipeline_name="other.yaml") in after.pipelines


def test_the_environments_of_a_project_are_those_of_listed_pipelines():
    there = replace(LOAD, environment_name="test")
    elsewhere = replace(REFRESH, environment_name="elsewhere")
    now = state(pipeline(listed_at=T0), pipeline(there), pipeline(elsewhere, listed_at=T0))
    assert environments_of(now, "p1") == {"prod"}
    assert environments_of(now, "p2") == {"elsewhere"}


GONE = {"listed_at": T0, "missing_listings": GOOD_LISTINGS, "missing_since": T0 + minutes(1)}
NOW = T0 + timedelta(days=60)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (GONE, "deleted"),  # it never ran
        ({**GONE, "missing_listings": GOOD_LISTINGS - 1}, None),
        ({**GONE, "last_activity_at": T0}, "deleted"),
        ({**GONE, "last_activity_at": NOW - timedelta(days=1)}, None),  # it has run since: not gone
        ({**GONE, "last_activity_at": T0 + minutes(2)}, "deleted"),  # but not for a whole retention
        ({"listed_at": T0}, None),  # published pipelines stay though they never run
        ({"listed_at": T0, "last_activity_at": T0}, None),
        ({}, "idle"),  # never listed, never ran since it was first seen
        ({"last_activity_at": T0 + timedelta(days=29)}, "idle"),
        ({"last_activity_at": T0 + timedelta(days=31)}, None),
        ({"first_seen_at": NOW}, None),
    ],
)
def test_deleted_and_idle_pipelines_leave(known, reason):
    after, change = retire(state(pipeline(**known)), NOW, retention=MONTH)
    assert change.pruned_pipelines == ((LOAD,) if reason else ())
    assert (LOAD in after.pipelines) is (reason is None)
    assert {name: count for name, count in after.cursor.pruned if count} == ({reason: 1} if reason else {})
    assert change.cursor == (after.cursor if reason else None)


def test_one_with_an_unfinished_run_never_leaves():
    record = RunRecord(run=run(), first_seen_at=T0)
    busy = state(pipeline(**GONE), unfinished={"r1": record})
    assert retire(busy, NOW, retention=MONTH)[0] is busy
    vanished = replace(busy, unfinished={"r1": replace(record, missing_since=T0, vanished_at=T0)})
    assert retire(vanished, NOW, retention=MONTH)[1].pruned_pipelines == (LOAD,)
