"""What the families say about a pipeline."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.core.model import FINISHED_STATUSES, PipelineKey, Status
from exporter.core.state import FailureStreak, FinishedRun, RunCounts

from .reading import rendered, value
from .states import BOUNDS, FINANCE, KEY, NOON, active, finished, pipeline, state

HOUR = timedelta(hours=1)


def test_active_runs_are_counted_by_status_and_0_where_there_are_none():
    found = rendered(state(pipeline(), runs=[active("1"), active("2"), active("3", Status.CANCELLING)]))
    by_status = {status: value(found, "maia_pipeline_active_runs", status=status) for status in Status}
    assert {status: number for status, number in by_status.items() if number is not None} == {
        Status.RUNNING: 2,
        Status.CANCELLING: 1,
        Status.UNKNOWN: 0,
    }


def test_a_vanished_run_is_not_active():
    found = rendered(state(pipeline(), runs=[active("1", vanished_at=NOON)]))
    assert value(found, "maia_pipeline_active_runs", status="RUNNING") == 0
    assert value(found, "maia_pipeline_oldest_active_run_start_timestamp_seconds") is None


def test_a_run_of_unknown_status_without_an_end_is_active():
    found = rendered(state(pipeline(), runs=[active("1", Status.UNKNOWN)]))
    assert value(found, "maia_pipeline_active_runs", status="UNKNOWN") == 1


def test_the_oldest_unfinished_run_gives_its_start_and_one_without_a_start_none():
    runs = [active("1", start=None), active("2", start=NOON), active("3", start=NOON - HOUR)]
    found = rendered(state(pipeline(), runs=runs))
    assert value(found, "maia_pipeline_oldest_active_run_start_timestamp_seconds") == (NOON - HOUR).timestamp()
    found = rendered(state(pipeline(), runs=runs[:1]))
    assert value(found, "maia_pipeline_oldest_active_run_start_timestamp_seconds") is None


def test_cancelling_is_timed_from_when_it_was_first_seen():
    runs = [
        active("1", start=NOON - 9 * HOUR),
        active("2", Status.CANCELLING, start=NOON - 5 * HOUR, cancelling_since=NOON - HOUR),
        active("3", Status.CANCELLING, start=NOON - 6 * HOUR, cancelling_since=NOON),
    ]
    found = rendered(state(pipeline(), runs=runs))
    assert value(found, "maia_pipeline_oldest_cancelling_since_timestamp_seconds") == (NOON - HOUR).timestamp()
    found = rendered(state(pipeline(), runs=runs[:1]))
    assert value(found, "maia_pipeline_oldest_cancelling_since_timestamp_seconds") is None


@pytest.mark.parametrize("last", FINISHED_STATUSES)
def test_exactly_one_status_is_that_of_the_last_run(last):
    found = rendered(state(pipeline(last_run=finished(last))))
    ones = [s for s in FINISHED_STATUSES if value(found, "maia_pipeline_last_run_status", status=s) == 1]
    zeros = [s for s in FINISHED_STATUSES if value(found, "maia_pipeline_last_run_status", status=s) == 0]
    assert ones == [last]
    assert len(zeros) == len(FINISHED_STATUSES) - 1


def test_before_the_first_run_all_statuses_are_0_and_times_are_absent():
    found = rendered(state(pipeline()))
    assert {value(found, "maia_pipeline_last_run_status", status=s) for s in FINISHED_STATUSES} == {0}
    for name in (
        "maia_pipeline_last_run_start_timestamp_seconds",
        "maia_pipeline_last_run_end_timestamp_seconds",
        "maia_pipeline_last_run_duration_seconds",
        "maia_pipeline_last_success_timestamp_seconds",
    ):
        assert value(found, name) is None
    assert value(found, "maia_pipeline_consecutive_failures") == 0


MISSING_TIMES = [
    (NOON - HOUR, NOON, {"start", "end", "duration"}, "all there"),
    (None, NOON, {"end"}, "no start: no duration either"),
    (NOON, None, {"start"}, "no end"),
    (None, None, set(), "never ran"),
]


@pytest.mark.parametrize(("start", "end", "shown", "reason"), MISSING_TIMES)
def test_a_time_that_the_last_run_lacks_is_absent(start, end, shown, reason):
    found = rendered(state(pipeline(last_run=finished(Status.FAILED, start=start, end=end))))
    names = {
        "start": "maia_pipeline_last_run_start_timestamp_seconds",
        "end": "maia_pipeline_last_run_end_timestamp_seconds",
        "duration": "maia_pipeline_last_run_duration_seconds",
    }
    assert {what for what, name in names.items() if value(found, name) is not None} == shown, reason


def test_a_run_of_no_length_has_a_duration_of_0():
    found = rendered(state(pipeline(last_run=finished(Status.SUCCESS, start=NOON, end=NOON))))
    assert value(found, "maia_pipeline_last_run_duration_seconds") == 0


def test_fractions_of_a_second_survive():
    instant = NOON + timedelta(microseconds=123_456)
    last = FinishedRun(
        order=(0.0, "r"),
        status=Status.SUCCESS,
        started_at=instant,
        finished_at=instant + timedelta(milliseconds=1),
        duration_seconds=0.001,
    )
    found = rendered(state(pipeline(last_run=last)))
    assert value(found, "maia_pipeline_last_run_start_timestamp_seconds") == instant.timestamp()
    assert value(found, "maia_pipeline_last_run_duration_seconds") == 0.001


def test_a_streak_counts_the_failures_that_are_no_longer_kept_one_by_one():
    streak = FailureStreak(orders=((1.0, "a"), (2.0, "b")), older=300)
    found = rendered(state(pipeline(streak=streak)))
    assert value(found, "maia_pipeline_consecutive_failures") == 302


COUNTS = RunCounts(
    started=(1, 2, 3, 4, 5),
    finished=(1, 2, 3, 4, 5, 6),
    seconds=(0.5, 1.0, 2.0, 3.0, 4.0, 5.0),
    bucket_bounds=BOUNDS,
    buckets=(1, 2, 4),
    bucket_sum=99.5,
)


def test_counters_start_at_0_for_every_trigger_and_status():
    found = rendered(state(pipeline()))
    counters = {series: number for series, number in found.items() if series.name.endswith("_total")}
    assert len(counters) == 5 + 6 + 6 + 1
    assert set(counters.values()) == {0}


def test_counters_say_what_was_counted():
    found = rendered(state(pipeline(counts=COUNTS)))
    assert value(found, "maia_pipeline_runs_started_total", trigger="DESIGNER") == 1
    assert value(found, "maia_pipeline_runs_started_total", trigger="UNKNOWN") == 5
    assert value(found, "maia_pipeline_runs_finished_total", status="FAILED") == 2
    assert value(found, "maia_pipeline_run_seconds_total", status="SUCCESS") == 0.5


def test_a_pipeline_that_a_run_introduced_shows_its_counters_at_0_and_its_gauges_as_they_are():
    introduced = pipeline(counts=COUNTS, last_run=finished(Status.FAILED))
    found = rendered(state(introduced, introduced={KEY: 1}), bucket_bounds=BOUNDS)
    counted = ("_total", "_bucket", "_count", "_sum")
    assert {number for series, number in found.items() if series.name.endswith(counted)} == {0}
    assert value(found, "maia_pipeline_last_run_status", status="FAILED") == 1


def test_the_histogram_is_cumulative_and_ends_in_inf():
    found = rendered(state(pipeline(counts=COUNTS)), bucket_bounds=BOUNDS)
    buckets = [value(found, "maia_pipeline_run_duration_seconds_bucket", le=le) for le in ("60.0", "3600.0", "+Inf")]
    assert buckets == [1, 3, 7]
    assert value(found, "maia_pipeline_run_duration_seconds_sum") == 99.5
    assert value(found, "maia_pipeline_run_duration_seconds_count") == 7


def test_without_configured_bounds_there_is_no_histogram():
    found = rendered(state(pipeline(counts=COUNTS)))
    assert not [series for series in found if series.name.startswith("maia_pipeline_run_duration_seconds")]


def test_buckets_counted_with_other_bounds_are_not_shown_under_these():
    found = rendered(state(pipeline(counts=COUNTS)), bucket_bounds=(1.0, 2.0, 3.0))
    histogram = {s: n for s, n in found.items() if s.name.startswith("maia_pipeline_run_duration_seconds")}
    assert len(histogram) == 4 + 2
    assert set(histogram.values()) == {0}


def test_ids_and_types_are_in_info_alone():
    found = rendered(state(pipeline(pipeline_type="ORCHESTRATION")))
    labels = {"project_name": "Finance", "project_id": FINANCE, "pipeline_type": "ORCHESTRATION"}
    assert value(found, "maia_pipeline_info", **labels) == 1
    assert {series.name for series in found if FINANCE in dict(series.labels).values()} == {"maia_pipeline_info"}


def test_a_run_of_a_pipeline_that_is_not_tracked_is_not_shown():
    found = rendered(state(pipeline(), runs=[active("1", key=PipelineKey(FINANCE, "prod", "other"))]))
    assert value(found, "maia_pipeline_active_runs", status="RUNNING") == 0


def test_a_state_without_pipelines_shows_no_series():
    assert rendered(state()) == {}
    assert rendered(replace(state(), project_names={})) == {}
