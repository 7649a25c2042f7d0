"""The rules of the tracker, a row for each case, with its reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.core.globs import Scope
from exporter.core.model import PipelineKey, Status, Trigger
from exporter.core.state import Change, Cursor, Origin, PipelineState, RunRecord, ScopeEpoch, State

from .ledger import EXPORT, LOAD, REFRESH, T0, WATCHING, Ledger, minutes, run

FIRST = Cursor(scopes=(ScopeEpoch(since=T0),))
FRACTION = replace(WATCHING, scopes=(ScopeEpoch(since=T0 + timedelta(milliseconds=900)),), polled_at=T0 + minutes(1))
SWEEPING = replace(WATCHING, forbidden_swept_at=None)
NARROW = ScopeEpoch(since=T0 - minutes(100), scope=Scope(projects=("p1",)))
WIDENED = Cursor(scopes=(NARROW, ScopeEpoch(since=T0)), polled_at=T0 - minutes(1), forbidden_swept_at=None)
"""p2 has just come into scope, and no poll has ended since; p1 has been watched for long."""
WIDER = replace(WIDENED, polled_at=T0)

OLD_FAILURE = run(status="FAILED", start=-20, end=-10)
NEW_FAILURE = run(status="FAILED", start=-20, end=10)
UNDATED = run(status="FORBIDDEN", start=None)
IN_P2 = {"pipeline": REFRESH}

NEWS, HISTORY = "news", "history"


@pytest.mark.parametrize(
    ("cursor", "origin", "row", "verdict"),
    [
        # The first start.
        (FIRST, Origin.POLL, OLD_FAILURE, HISTORY),  # it ended before us
        (FIRST, Origin.POLL, NEW_FAILURE, HISTORY),  # between our first call and its answer: nobody watched yet
        (FIRST, Origin.POLL, UNDATED, HISTORY),  # it was there when we came
        (WATCHING, Origin.HISTORY, OLD_FAILURE, HISTORY),  # older pages follow between polls
        (WATCHING, Origin.HISTORY, run(status="FAILED", start=-20, end=0), HISTORY),  # in our very first second
        (WATCHING, Origin.HISTORY, NEW_FAILURE, NEWS),  # it ended after the first poll, which did not see it
        (WATCHING, Origin.HISTORY, UNDATED, HISTORY),
        # The baseline sweep of FORBIDDEN runs.
        (SWEEPING, Origin.FORBIDDEN, UNDATED, HISTORY),  # listed behind the newest page, so probably old
        (SWEEPING, Origin.FORBIDDEN, run(status="FORBIDDEN", start=5), NEWS),  # it says that it is not
        (SWEEPING, Origin.POLL, UNDATED, NEWS),  # on the newest page, where it was not before
        (WATCHING, Origin.FORBIDDEN, UNDATED, NEWS),  # after the baseline
        (WATCHING, Origin.POLL, UNDATED, NEWS),
        # Later.
        (WATCHING, Origin.POLL, OLD_FAILURE, HISTORY),  # it surfaces late, but ended before us
        (WATCHING, Origin.POLL, NEW_FAILURE, NEWS),
        (
            FRACTION,
            Origin.POLL,
            run(status="FAILED", start=0, end=0),
            NEWS,
        ),  # in our first second, its fraction cut off
        (FRACTION, Origin.POLL, run(status="FAILED", start=-20, end=-1 / 60), HISTORY),  # the second before that
        (WATCHING, Origin.AUDIT, NEW_FAILURE, NEWS),
        (WATCHING, Origin.CATCH_UP, NEW_FAILURE, NEWS),
        (WATCHING, Origin.CATCH_UP, OLD_FAILURE, HISTORY),
        # A wider scope: what comes in is history, what was there before is not.
        (WIDENED, Origin.POLL, replace(NEW_FAILURE, **IN_P2), HISTORY),
        (WIDENED, Origin.POLL, replace(UNDATED, **IN_P2), HISTORY),
        (WIDENED, Origin.POLL, run(status="FAILED", start=-60, end=-10), NEWS),  # p1: it ended while we were down
        (WIDENED, Origin.POLL, UNDATED, NEWS),
        (WIDER, Origin.HISTORY, replace(OLD_FAILURE, **IN_P2), HISTORY),
        (WIDER, Origin.FORBIDDEN, replace(UNDATED, **IN_P2), HISTORY),
        (WIDER, Origin.FORBIDDEN, UNDATED, NEWS),  # p1 had its baseline long ago
        (WIDER, Origin.CATCH_UP, OLD_FAILURE, NEWS),
        (WIDER, Origin.POLL, replace(NEW_FAILURE, **IN_P2), NEWS),
    ],
)
def test_what_ended_before_we_watched_is_history_and_the_rest_is_news(cursor, origin, row, verdict):
    ledger = Ledger(State(cursor=cursor))
    ledger.observe(row, at=20, origin=origin)
    news = verdict is NEWS
    assert f"r1:{row.status}" in ledger.told() if news else ledger.told() == []
    assert ledger.counts(row.pipeline)[1] == ({row.status.value: 1} if news else {})
    assert ledger.state.cursor.baseline_failures == int(not news)
    assert ledger.records["r1"].history is not news
    assert ledger.state.pipelines[row.pipeline].last_run.status is row.status


@pytest.mark.parametrize("status", ["SUCCESS", "SKIPPED", "CANCELLED"])
def test_only_failures_of_history_are_counted_as_suppressed(status):
    ledger = Ledger(State(cursor=FIRST))
    ledger.observe(run(status=status, start=-20, end=-10))
    assert ledger.state.cursor.baseline_failures == 0


def test_after_a_restart_what_ended_meanwhile_is_news_once():
    ledger = Ledger()
    ledger.observe(run(start=1), at=2)
    restarted = Ledger(ledger.state, records=ledger.records)
    rows = [run(status="FAILED", start=1, end=50), run("r2", "SUCCESS", start=40, end=41)]
    restarted.observe(*rows, at=60)
    restarted.observe(*rows, at=61)
    assert restarted.told() == ["r1:FAILED", "r2:STARTED", "r2:SUCCESS"]
    assert restarted.counts() == (2, {"FAILED": 1, "SUCCESS": 1})


# --- starts ---


@pytest.mark.parametrize(
    ("cursor", "row", "counted"),
    [
        (FIRST, run(start=-90), 0),  # it was there before us
        (FIRST, run(start=None), 0),
        (WATCHING, run(start=1), 1),
        (WATCHING, run(start=-90), 0),  # found late, but it was there before us
        (WATCHING, run(start=None), 1),  # only the order of reading tells
    ],
)
def test_a_start_counts_unless_the_run_was_there_before_us(cursor, row, counted):
    ledger = Ledger(State(cursor=cursor))
    ledger.observe(row, at=2)
    ledger.observe(row, at=3)
    assert ledger.told() == ["r1:STARTED"] * counted
    assert ledger.counts() == (counted, {})


def test_what_was_there_before_us_is_news_when_it_ends():
    ledger = Ledger(State(cursor=FIRST))
    ledger.observe(run(start=-90))
    ledger.observe(run(status="FAILED", start=-90, end=5), at=6)
    assert ledger.told() == ["r1:FAILED"]
    assert ledger.counts() == (0, {"FAILED": 1})


def test_a_start_counts_under_its_trigger():
    ledger = Ledger()
    ledger.observe(run(trigger=Trigger.DESIGNER))
    assert ledger.state.pipelines[LOAD].counts.started == (1, 0, 0, 0, 0)


# --- rows that say less, more or something else ---


def test_a_read_that_leaves_out_what_its_row_had_is_the_same_run():
    ledger = Ledger()
    row = run(status="RUNNING", user="ada", trigger=Trigger.API, schedule_id="s", pipeline_type="ORCHESTRATION")
    bare = run(status="SUCCESS", start=None, end=5, pipeline=PipelineKey("p1", "", LOAD.pipeline_name))
    ledger.observe(row, bare, at=6)
    kept = ledger.records["r1"].run
    assert (kept.pipeline, kept.user, kept.trigger, kept.started_at) == (LOAD, "ada", Trigger.API, T0 + minutes(1))
    assert (kept.schedule_id, kept.pipeline_type) == ("s", "ORCHESTRATION")
    assert set(ledger.state.pipelines) == {LOAD}


def test_a_read_that_says_more_than_its_row_did_is_believed():
    ledger = Ledger()
    ledger.observe(run(), at=2)
    said = {"user": "ada", "trigger": Trigger.API, "schedule_id": "s", "pipeline_type": "ORCHESTRATION"}
    ledger.observe(run(status="SUCCESS", end=5, **said), at=6)
    assert {name: getattr(ledger.records["r1"].run, name) for name in said} == said


def test_a_run_stays_with_its_pipeline_and_learns_what_was_missing():
    ledger = Ledger()
    ledger.observe(run(pipeline=PipelineKey("p1", "", "x.yaml")), at=2)
    ledger.observe(run(status="SUCCESS", end=3, pipeline=PipelineKey("p9", "prod", "y.yaml")), at=4)
    assert ledger.records["r1"].run.pipeline == PipelineKey("p1", "prod", "x.yaml")


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (run(status="UNKNOWN", end=3), "UNKNOWN"),  # it has an end
        (run(status="UNKNOWN"), None),  # it has none: followed
        (run(status="RUNNING", end=3), None),  # what the status says counts
        (run(status="CANCELLING", end=3), None),
        (run(status="SUCCESS"), "SUCCESS"),
    ],
)
def test_a_run_has_ended_when_its_status_says_so_or_for_unknown_ones_its_end(row, verdict):
    ledger = Ledger()
    ledger.observe(row, at=4)
    assert ledger.told() == ["r1:STARTED", *([f"r1:{verdict}"] if verdict else [])]
    assert bool(ledger.state.unfinished) is (verdict is None)


def test_a_run_without_times_counts_as_started_and_finished_and_adds_no_seconds():
    ledger = Ledger()
    ledger.observe(run(status="SUCCESS", start=None))
    assert ledger.counts() == (1, {"SUCCESS": 1})
    counts = ledger.state.pipelines[LOAD].counts
    assert sum(counts.seconds) == 0
    last = ledger.state.pipelines[LOAD].last_run
    assert (last.started_at, last.finished_at, last.duration_seconds) == (None, None, None)


def test_an_end_before_the_start_is_no_negative_time():
    ledger = Ledger()
    ledger.observe(run(status="SUCCESS", start=5, end=4), at=6)
    assert sum(ledger.state.pipelines[LOAD].counts.seconds) == 0


def test_a_new_type_of_a_pipeline_is_taken_over():
    ledger = Ledger()
    ledger.observe(run(pipeline_type="ORCHESTRATION"))
    ledger.observe(run("r2", pipeline_type="TRANSFORMATION"), at=2)
    ledger.observe(run("r3"), at=3)
    assert ledger.state.pipelines[LOAD].pipeline_type == "TRANSFORMATION"


# --- CANCELLING ---


def test_cancelling_counts_from_when_it_was_first_seen():
    ledger = Ledger()
    seen = []
    for at, status in enumerate(["RUNNING", "CANCELLING", "CANCELLING", "RUNNING", "CANCELLING"], start=1):
        ledger.observe(run(status=status), at=at)
        seen.append(ledger.state.unfinished["r1"].cancelling_since)
    assert seen == [None, T0 + minutes(2), T0 + minutes(2), None, T0 + minutes(5)]
    ledger.observe(run(status="CANCELLED", end=6), at=7)
    assert ledger.records["r1"].cancelling_since is None


# --- VANISHED ---


@pytest.mark.parametrize(
    ("reads", "told"),
    [
        ([(2, "missing")], []),  # once may be a replica that lags
        ([(2, "missing"), (2, "missing")], []),  # the same instant says nothing new
        ([(2, "missing"), (3, "missing")], ["r1:VANISHED"]),
        ([(2, "missing"), (3, "missing"), (4, "missing")], ["r1:VANISHED"]),  # once
        ([(2, "missing"), (3, "there"), (4, "missing")], []),  # it was there in between
        ([(2, "missing"), (3, "there"), (4, "missing"), (5, "missing")], ["r1:VANISHED"]),
        ([(2, "missing"), (3, "missing"), (4, "there"), (5, "ended")], ["r1:VANISHED", "r1:SUCCESS"]),  # it came back
        ([(2, "both"), (3, "both")], []),  # a list showed it: that is an answer
    ],
)
def test_a_run_vanishes_after_two_reads_at_different_instants_do_not_know_it(reads, told):
    ledger = Ledger()
    ledger.observe(run())
    for at, what in reads:
        rows = {"there": [run()], "both": [run()], "ended": [run(status="SUCCESS", end=3)]}.get(what, [])
        ledger.observe(*rows, at=at, missing=["r1"] if what in ("missing", "both") else [])
    assert ledger.told() == ["r1:STARTED", *told]


def test_what_was_never_known_cannot_vanish():
    ledger = Ledger()
    step = ledger.observe(missing=["stranger"])
    assert (step.events, step.change.runs) == ((), ())


# --- counters of pipelines first known by a run ---


def test_a_pipeline_first_known_by_a_run_shows_0_for_one_poll():
    ledger = Ledger()
    ledger.observe(run(status="FAILED", end=2), at=3)
    assert ledger.state.introduced == {LOAD: 1}
    ledger.observe(run("r2", pipeline=EXPORT), at=4)
    assert ledger.state.introduced == {EXPORT: 1}
    ledger.observe(at=5)
    assert ledger.state.introduced == {}


def test_a_pipeline_that_a_page_between_polls_brings_up_is_held_over_the_next_poll():
    ledger = Ledger()
    ledger.observe(run(status="FAILED", end=2), at=3, origin=Origin.AUDIT)
    ledger.observe(run("r2", pipeline=EXPORT), at=3, origin=Origin.AUDIT)
    assert ledger.state.introduced == {LOAD: 2, EXPORT: 2}
    ledger.observe(at=4)
    assert ledger.state.introduced == {LOAD: 1, EXPORT: 1}
    ledger.observe(at=5)
    assert ledger.state.introduced == {}


# --- what a step writes ---


def test_a_step_writes_each_row_once_and_only_what_has_changed():
    ledger = Ledger()
    step = ledger.observe(run(), run(), run("r2", "SUCCESS", end=2), at=3)
    assert [each.run.run_id for each in step.change.runs] == ["r1", "r2"]
    assert [each.key for each in step.change.pipelines] == [LOAD]
    quiet = ledger.observe(run(), at=4)
    assert (quiet.change.runs, quiet.change.pipelines) == ((), ())
    assert quiet.state.pipelines is step.state.pipelines
    assert quiet.state.unfinished is step.state.unfinished
    assert not ledger.observe(run(), at=4, cursor=quiet.state.cursor).change


def test_a_run_is_cancelling_since_it_was_first_seen_so_whatever_else_is_learned():
    ledger = Ledger()
    ledger.observe(run(status="CANCELLING"), at=2)
    ledger.observe(run(status="CANCELLING", message="asked to stop"), at=5)
    record = ledger.state.unfinished["r1"]
    assert (record.cancelling_since, record.run.message) == (T0 + minutes(2), "asked to stop")


def test_a_row_that_says_less_than_is_known_changes_nothing():
    ledger = Ledger()
    ledger.observe(run(user="ada", trigger=Trigger.API), at=2)
    less = ledger.observe(run(), at=3)
    assert (less.events, less.change.runs) == ((), ())
    assert ledger.state.unfinished["r1"].run.user == "ada"


def test_changes_one_after_the_other_are_one_change():
    ledger = Ledger()
    first = ledger.observe(run(), run("r2", pipeline=EXPORT), at=2).change
    first = replace(first, forgotten_runs=("a",), pruned_pipelines=(REFRESH,), project_names={"p1": "One", "p2": "Two"})
    later = ledger.observe(run(status="FAILED", end=3), at=4).change
    both = first.then(replace(later, forgotten_runs=("b",), project_names={"p1": "Uno"}))
    assert {each.run.run_id: each.run.status for each in both.runs} == {"r1": Status.FAILED, "r2": Status.RUNNING}
    assert {each.key for each in both.pipelines} == {LOAD, EXPORT}
    assert both.forgotten_runs == ("a", "b")
    assert both.pruned_pipelines == (REFRESH,)
    assert both.project_names == {"p1": "Uno", "p2": "Two"}
    assert both.cursor == later.cursor
    assert first.then(Change()) == first


FAILED_AT_9 = run(status="FAILED", end=9)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        (run(), FAILED_AT_9),  # a run that has ended does not run any more
        (run(status="CANCELLING"), FAILED_AT_9),
        (run(), run(status="CANCELLING")),  # nothing goes back from there
        (run(), run(status="UNKNOWN")),
        (run(status="UNKNOWN"), run(status="CANCELLING")),
        (run(status="FAILED"), FAILED_AT_9),  # a row with times says more
        (run(status="SUCCESS"), FAILED_AT_9),
        (run(status="SUCCESS", start=None, end=9), FAILED_AT_9),
    ],
    ids=lambda row: f"{row.status.value} {row.started_at is not None} {row.finished_at is not None}",
)
def test_of_two_rows_of_a_run_in_one_read_the_stronger_stands(weaker, stronger, backwards):
    ledger = Ledger()
    ledger.observe(*([stronger, weaker] if backwards else [weaker, stronger]), at=10)
    assert ledger.records["r1"].run.status is stronger.status
    assert ledger.records["r1"].run.finished_at == stronger.finished_at


@pytest.mark.parametrize(
    "change",
    [
        Change(runs=(RunRecord(run=run(), first_seen_at=T0),)),
        Change(pipelines=(PipelineState(key=LOAD, first_seen_at=T0, watched_since=T0),)),
        Change(pruned_pipelines=(LOAD,)),
        Change(forgotten_runs=("r1",)),
        Change(project_names={"p1": "Finance"}),
        Change(cursor=WATCHING),
    ],
    ids=lambda change: next(name for name in Change.__slots__ if getattr(change, name)),
)
def test_whatever_has_changed_is_written(change):
    assert change
    assert not Change()
