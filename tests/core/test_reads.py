"""How far the account has been read, and what to read next."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.core import reads
from exporter.core.state import Cursor, Origin, ScopeEpoch, Sweep

from .ledger import T0, minutes, run

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
BEGUN = (ScopeEpoch(since=T0 - WEEK),)


def cursor(**fields):
    """A poll at T0, everything swept then, the newest start a minute before."""
    known = {"newest_start_at": T0 - minutes(1), "polled_at": T0, "audited_at": T0, "forbidden_swept_at": T0}
    return Cursor(**{"scopes": BEGUN, **known, **fields})


@pytest.mark.parametrize(
    ("polled", "newest", "mark"),
    [
        (None, None, None),  # before the first poll
        (T0, None, T0),
        (T0, T0 - HOUR, T0 - HOUR),  # a Date that runs ahead of the starts: rows after the newest start are new
        (T0, T0 + HOUR, T0),  # a run that claims to start in the future hides nobody
    ],
)
def test_all_is_read_up_to_the_newest_start_or_the_last_poll(polled, newest, mark):
    assert reads.mark(Cursor(polled_at=polled, newest_start_at=newest)) == mark


@pytest.mark.parametrize(
    ("read_up_to", "after"),
    [
        (None, T0 - WEEK),  # the first start reads as far as lookback says
        (T0 - minutes(5), T0 - minutes(5) - reads.OVERLAP),
        (T0 - 2 * WEEK, T0 - WEEK),  # and so does one after a longer outage
    ],
)
def test_recent_runs_are_those_since_the_last_poll_less_an_overlap(read_up_to, after):
    assert reads.recent_after(Cursor(polled_at=read_up_to), T0, lookback=WEEK) == after


@pytest.mark.parametrize(
    ("polled", "overdue"),
    [(None, None), (T0 - WEEK, None), (T0 - WEEK - minutes(1), T0 - WEEK - minutes(1))],
)
def test_what_lies_between_the_last_poll_and_the_lookback_may_be_missed(polled, overdue):
    assert reads.overdue_since(Cursor(polled_at=polled), T0, lookback=WEEK) == overdue


ENOUGH = reads.BEHIND_THE_MARK


@pytest.mark.parametrize(
    ("starts", "behind"),
    [
        ([], False),
        ([3] * 2 * ENOUGH, False),  # an outage: all of it is newer
        ([3, *[-1] * (ENOUGH - 1)], False),
        ([3, *[-1] * ENOUGH], True),
        ([0] * ENOUGH, True),  # the mark itself had been read
        ([None] * ENOUGH, False),
        ([None, *[-1] * ENOUGH], True),
    ],
)
def test_pages_reach_behind_what_is_read_when_they_show_most_of_a_page_of_it(starts, behind):
    assert reads.reaches_behind([run(start=start) for start in starts], T0) is behind


def test_a_poll_moves_the_cursor_to_what_it_read():
    rows = [run(start=1), run(start=None), run(start=9)]
    after = reads.after_poll(cursor(), rows, T0 + minutes(2), rest=None, lookback=WEEK)
    assert after == cursor(newest_start_at=T0 + minutes(1), polled_at=T0 + minutes(2))


def test_a_start_in_the_future_and_a_quiet_account_move_no_mark():
    after = reads.after_poll(cursor(), [run(start=9)], T0 + minutes(2), rest=None, lookback=WEEK)
    assert after.newest_start_at == T0 - minutes(1)
    first = reads.after_poll(Cursor(scopes=(ScopeEpoch(since=T0),)), [], T0, rest=None, lookback=WEEK)
    assert (first.newest_start_at, first.audited_at) == (T0 - WEEK, T0)


def test_a_poll_that_is_dated_before_its_scope_is_still_in_it():
    after = reads.after_poll(cursor(scopes=(ScopeEpoch(since=T0 + minutes(1)),)), [], T0, rest=None, lookback=WEEK)
    assert not after.first_poll_of_scope


def test_an_outage_beyond_the_lookback_is_counted():
    late = T0 + WEEK + minutes(1)
    after = reads.after_poll(cursor(), [], late, rest=None, lookback=WEEK)
    assert (after.possibly_missed, after.possibly_missed_at) == (1, late)
    after = reads.after_poll(after, [], late + minutes(1), rest=None, lookback=WEEK)
    assert (after.possibly_missed, after.possibly_missed_at) == (1, late)


# --- sweeps ---


def origins(found):
    return [sweep.origin for sweep in found.sweeps]


@pytest.mark.parametrize(
    ("known", "now", "due"),
    [
        ({}, T0 + minutes(59), []),
        ({}, T0 + HOUR, [Origin.FORBIDDEN, Origin.AUDIT]),
        ({"forbidden_swept_at": None}, T0, [Origin.FORBIDDEN]),  # the baseline of a scope
        ({"sweeps": (Sweep(origin=Origin.AUDIT),)}, T0 + HOUR, [Origin.FORBIDDEN, Origin.AUDIT]),  # under way
    ],
)
def test_the_hourly_sweeps_are_due_an_hour_after_the_last(known, now, due):
    after = reads.with_due_sweeps(cursor(**known), now, lookback=WEEK)
    assert origins(after) == due


SOON = T0 + reads.UNDATED_EVERY


@pytest.mark.parametrize(
    ("known", "forbidden", "more", "now", "due"),
    [
        ({}, [None], True, SOON, True),
        ({"undated_forbidden": True}, [1], True, SOON, True),  # one was there once
        ({}, [None], True, SOON - timedelta(seconds=1), False),
        ({}, [None], False, SOON, False),  # the poll itself reads all of them
        ({}, [1], True, SOON, False),  # those with a start are among the recent runs
    ],
)
def test_forbidden_runs_without_times_behind_the_first_page_are_looked_for_often(known, forbidden, more, now, due):
    rows = [run(start=start) for start in forbidden]
    options = {"rest": None, "lookback": WEEK, "forbidden": rows, "more_forbidden": more}
    after = reads.after_poll(cursor(**known), [], now, **options)
    assert (Origin.FORBIDDEN in origins(after)) is due
    assert after.undated_forbidden is (bool(known) or None in forbidden)


def test_only_a_sweep_of_forbidden_runs_tells_that_some_have_no_times():
    for origin in (Origin.FORBIDDEN, Origin.HISTORY):
        sweep = Sweep(origin=origin)
        after = reads.after_page(cursor(sweeps=(sweep,)), sweep, iter([run(start=None)]), T0, more="t")
        assert after.undated_forbidden is (origin is Origin.FORBIDDEN)
        assert after.sweeps[0].oldest_read is None


def test_an_audit_that_has_begun_is_the_last_for_an_hour():
    begun = reads.with_due_sweeps(cursor(), T0 + HOUR, lookback=WEEK)
    ended = replace(begun, sweeps=())
    assert Origin.AUDIT not in origins(reads.with_due_sweeps(ended, T0 + HOUR + minutes(59), lookback=WEEK))
    assert Origin.AUDIT in origins(reads.with_due_sweeps(ended, T0 + 2 * HOUR, lookback=WEEK))


def test_nothing_due_leaves_the_very_cursor():
    at_rest = cursor()
    assert reads.with_due_sweeps(at_rest, T0 + minutes(1), lookback=WEEK) is at_rest


def test_an_audit_reads_a_day_but_not_what_lies_before_the_history_that_was_read():
    now = T0 + HOUR
    audit = reads.with_due_sweeps(cursor(), now, lookback=WEEK).sweeps[-1]
    assert (audit.started_after, audit.started_before) == (now - DAY, now)
    young = cursor(scopes=(ScopeEpoch(since=T0),))
    audit = reads.with_due_sweeps(young, now, lookback=HOUR).sweeps[-1]
    assert audit.started_after == T0 - HOUR
    assert reads.with_due_sweeps(cursor(scopes=()), now, lookback=HOUR).sweeps[-1].started_after == now - HOUR


def test_sweeps_stand_by_urgency_with_what_a_poll_left_first():
    history = Sweep(origin=Origin.HISTORY)
    rest = Sweep(origin=Origin.CATCH_UP, token="t")
    after = reads.after_poll(cursor(sweeps=(history,)), [], T0 + HOUR, rest=rest, lookback=WEEK)
    assert origins(after) == [Origin.CATCH_UP, Origin.FORBIDDEN, Origin.HISTORY, Origin.AUDIT]


def test_a_page_moves_its_sweep_and_no_other():
    history, forbidden = Sweep(origin=Origin.HISTORY, oldest_read=T0), Sweep(origin=Origin.FORBIDDEN)
    before = cursor(sweeps=(forbidden, history))
    after = reads.after_page(before, history, [run(start=-5), run(start=None)], T0, more="next", escaped=2)
    moved = replace(history, token="next", oldest_read=T0 - minutes(5), escaped=2)
    assert set(after.sweeps) == {forbidden, moved}
    after = reads.after_page(after, moved, [], T0, more="last", escaped=1)
    assert replace(moved, token="last", escaped=3) in after.sweeps
    after = reads.after_page(before, forbidden, [run(start=None)], T0, more="next")
    assert replace(forbidden, token="next") in after.sweeps, "undated rows tell no place"


def test_the_last_page_ends_its_sweep():
    history, forbidden = Sweep(origin=Origin.HISTORY), Sweep(origin=Origin.FORBIDDEN)
    before = cursor(sweeps=(forbidden, history))
    now = T0 + HOUR
    after = reads.after_page(before, history, [], now, more=None)
    assert (after.sweeps, after.forbidden_swept_at) == ((forbidden,), T0)
    after = reads.after_page(after, forbidden, [], now, more=None)
    assert (after.sweeps, after.forbidden_swept_at) == ((), now)


@pytest.mark.parametrize(
    ("sweep", "again"),
    [
        # It goes on below the oldest start that it has read.
        (Sweep(origin=Origin.HISTORY, token="t", oldest_read=T0), Sweep(origin=Origin.HISTORY, started_before=T0)),
        # No dated row yet: from its beginning.
        (
            Sweep(origin=Origin.AUDIT, token="t", started_before=T0, escaped=3),
            Sweep(origin=Origin.AUDIT, started_before=T0, escaped=3),
        ),
        # FORBIDDEN runs may sort anywhere: only the token knew the place.
        (Sweep(origin=Origin.FORBIDDEN, token="t", oldest_read=T0), Sweep(origin=Origin.FORBIDDEN)),
    ],
)
def test_a_refused_token_is_given_up(sweep, again):
    other = Sweep(origin=Origin.CATCH_UP)
    assert reads.without_token(cursor(sweeps=(other, sweep)), sweep).sweeps == (other, again)
