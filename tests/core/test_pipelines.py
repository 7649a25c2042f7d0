"""A pipeline's gauges and counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.model import Status
from exporter.core.pipelines import finish_order
from exporter.core.recent import RECENT_KEPT, RecentRun, RecentRuns
from exporter.core.state import STREAK_KEPT

from .ledger import LOAD, T0, Ledger, lives, minutes, run


def shown(*rows, **fields):
    """The pipeline after these finished runs: (status, end), read in this order; ends are minutes after T0."""
    ledger = Ledger(**fields)
    for number, (status, end) in enumerate(rows):
        ledger.observe(run(f"r{number:04}", status, start=end - 1, end=end), at=5000)
    return ledger.state.pipelines[LOAD]


F, B, S, C, K = "FAILED", "FORBIDDEN", "SUCCESS", "CANCELLED", "SKIPPED"


@pytest.mark.parametrize(
    ("rows", "length", "since"),
    [
        ([], 0, None),
        ([(F, 1)], 1, 1),
        ([(F, 1), (B, 2)], 2, 1),  # FORBIDDEN is a failure too
        ([(F, 1), (C, 2), (K, 3), (F, 4)], 2, 1),  # CANCELLED and SKIPPED leave it
        ([(F, 1), (S, 2)], 0, None),
        ([(F, 1), (S, 2), (F, 3)], 1, 3),
        ([(F, 3), (S, 2), (F, 1)], 1, 3),  # read the other way round
        ([(S, 2), (F, 1)], 0, None),  # a failure from before the success, read late
        ([(F, 1), (F, 3), (S, 2)], 1, 3),  # a success between two failures, read late
        ([(F, 2), (S, 1)], 1, 2),  # a success from before the failure, read late
        ([(S, 5), (S, 4), (F, 6)], 1, 6),
        ([("UNKNOWN", 1)], 0, None),
    ],
)
def test_failures_in_a_row_count_from_the_last_success(rows, length, since):
    pipeline = shown((S, 0), *rows)
    assert pipeline.streak.length == length
    assert pipeline.streak.since == (None if since is None else (T0 + minutes(since)).timestamp())


def test_a_long_row_of_failures_is_counted_whole_whichever_end_is_read_first():
    rows = [(F, end) for end in range(1, STREAK_KEPT + 101)]
    forwards, backwards = shown(*rows), shown(*reversed(rows))
    for pipeline in (forwards, backwards):
        assert pipeline.streak.length == STREAK_KEPT + 100
        assert len(pipeline.streak.orders) == STREAK_KEPT
        assert pipeline.streak.since == (T0 + minutes(1)).timestamp()


@pytest.mark.parametrize(
    ("end", "length"),
    [
        (STREAK_KEPT + 200, 0),  # after all of them
        (STREAK_KEPT + 50, 50),  # among those that are kept one by one
        (50, STREAK_KEPT + 100),  # among the older ones nobody can tell how many: none falls away
    ],
)
def test_a_success_that_is_read_late_ends_what_it_can(end, length):
    rows = [(F, each) for each in range(1, STREAK_KEPT + 101)]
    assert shown(*rows, (S, end)).streak.length == length


@pytest.mark.parametrize(
    ("rows", "status", "start", "end"),
    [
        ([(F, 3), (S, 2)], F, 2, 3),  # by end
        ([(S, 2), (F, 3)], F, 2, 3),
        ([(F, 3), (S, 3)], S, 2, 3),  # ties by id
    ],
)
def test_the_last_run_is_the_one_that_finished_last(rows, status, start, end):
    last = shown(*rows).last_run
    assert (last.status, last.started_at, last.finished_at) == (status, T0 + minutes(start), T0 + minutes(end))
    assert last.duration_seconds == 60


def test_a_time_that_the_last_run_does_not_have_is_never_an_older_runs():
    ledger = Ledger()
    ledger.observe(run("r1", "SUCCESS", start=1, end=2), at=9)
    ledger.observe(run("r2", "SUCCESS", start=5), at=9)
    last = ledger.state.pipelines[LOAD].last_run
    assert (last.started_at, last.finished_at, last.duration_seconds) == (T0 + minutes(5), None, None)


def test_the_last_success_is_the_newest_one():
    assert shown((S, 5), (S, 3), (F, 9)).last_success == ((T0 + minutes(5)).timestamp(), "r0000")


def test_seconds_add_up_by_status():
    counts = shown((S, 5), (S, 3), (F, 9)).counts
    assert (counts.finished[:2], counts.seconds[:2]) == ((2, 1), (120.0, 60.0))


def test_the_histogram_holds_dated_successes_only():
    ledger = Ledger(bucket_bounds=(60.0, 120.0))
    for number, (status, start, end) in enumerate(
        [(S, 0, 1), (S, 0, 2), (S, 0, 3), (S, 1, 1), (F, 0, 1), (S, None, None), (S, 1, None)]
    ):
        ledger.observe(run(f"r{number}", status, start=start, end=end), at=9)
    counts = ledger.state.pipelines[LOAD].counts
    assert counts.buckets == (2, 1, 1)  # a bound holds what equals it
    assert counts.bucket_sum == 360.0


def test_other_bounds_begin_the_histogram_anew():
    ledger = Ledger(bucket_bounds=(60.0,))
    ledger.observe(run("r1", S, start=0, end=1), at=9)
    ledger.bucket_bounds = (10.0, 90.0)
    ledger.observe(run("r2", S, start=0, end=1), at=9)
    counts = ledger.state.pipelines[LOAD].counts
    assert (counts.bucket_bounds, counts.buckets, counts.bucket_sum) == ((10.0, 90.0), (0, 1, 0), 60.0)


def test_activity_is_the_newest_sign_of_life():
    ledger = Ledger()
    ledger.observe(run("r1", S, start=1, end=7), at=9)
    ledger.observe(run("r2", S, start=1, end=3), at=9)
    assert ledger.state.pipelines[LOAD].last_activity_at == T0 + minutes(7)
    ledger.observe(run("r3", start=8), at=9)
    assert ledger.state.pipelines[LOAD].last_activity_at == T0 + minutes(8)
    ledger.observe(run("r4", start=2), at=10)
    assert ledger.state.pipelines[LOAD].last_activity_at == T0 + minutes(8)


@given(lives(most=50, earliest=-50), st.data())
def test_the_runs_that_finished_last_are_kept_whatever_order_they_are_read_in(living, data):
    ledger = Ledger()
    for life in data.draw(st.permutations(living)):
        ledger.observe(life.row(200), at=200)
    for key, pipeline in ledger.state.pipelines.items():
        records = sorted((one for one in ledger.records.values() if one.run.pipeline == key), key=finish_order)
        assert [(*finish_order(one), one.run.status) for one in records[-RECENT_KEPT:]] == [
            each[:3] for each in pipeline.recent
        ]


def test_of_the_runs_that_finished_last_there_are_so_many_and_what_is_older_is_passed_over():
    ends = range(1, RECENT_KEPT + 11)
    forwards, backwards = shown(*[(S, end) for end in ends]), shown(*[(S, end) for end in reversed(ends)])
    wanted = [(T0 + minutes(end)).timestamp() for end in ends][-RECENT_KEPT:]
    assert [each.finished for each in forwards.recent] == [each.finished for each in backwards.recent] == wanted
    assert {each.seconds for each in forwards.recent} == {60.0}


def test_a_run_without_times_is_among_them_without_a_duration():
    ledger = Ledger()
    ledger.observe(run("r1", "FORBIDDEN", start=None), at=5)
    assert [(each.run_id, each.seconds) for each in ledger.state.pipelines[LOAD].recent] == [("r1", None)]


def test_an_id_may_hold_anything_and_comes_back_as_it_was():
    odd = 'a"b\n,]\x00\u2028ü'
    recent = shown((S, 1)).recent.with_run(RecentRun(9e9, odd, Status.SUCCESS, None))
    assert [each.run_id for each in recent] == ["r0000", odd]


def test_a_status_that_only_a_later_version_knows_is_unknown():
    assert [each.status for each in RecentRuns('[1.0,"r1","LATER",2.5]')] == [Status.UNKNOWN]


def test_runs_that_finished_last_are_told_apart_by_what_they_hold():
    some = [RecentRun(float(number), f"r{number}", Status.FAILED, 1.0) for number in range(3)]
    assert RecentRuns.of(some) == RecentRuns().with_run(some[0]).with_run(some[2]).with_run(some[1])
    assert len({RecentRuns.of(some), RecentRuns.of(some), RecentRuns.of(some[1:])}) == 2
    assert (RecentRuns.of(some).last, RecentRuns().last) == (some[2], None)
    assert repr(RecentRuns()) == "RecentRuns('')"
