"""OVERDUE: a pipeline has not succeeded for too long, whatever the reason; told once a gap."""

from datetime import timedelta
from time import process_time

import pytest

from exporter.core.expectations import Expectation, Expectations
from exporter.core.globs import Scope
from exporter.core.model import PipelineKey, Status
from exporter.core.routing import Route
from exporter.core.state import PipelineState, State

from .story import FINANCE, Story, at, run

S = Status.SUCCESS
HOURLY = Expectation(success_within=timedelta(hours=1))
FIRST = f"{FINANCE}/prod/nightly:OVERDUE:2026-01-05T00:01:00Z"


def test_a_pipeline_is_overdue_once_a_gap():
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    assert story.poll(61) == []
    assert story.poll(62) == [f"{FIRST} > oncall"]
    assert story.poll(63) == []
    assert story.poll(1_000) == []
    assert story.poll(1_002, run("b", S, end=1_001)) == ["b:RECOVERED > oncall"]
    assert story.poll(1_063) == [f"{FINANCE}/prod/nightly:OVERDUE:2026-01-05T16:41:00Z > oncall"]


def test_it_is_known_whether_anything_is_expected():
    assert Expectations((HOURLY,))
    assert not Expectations(())


def test_a_pipeline_that_never_succeeded_counts_from_when_it_was_first_seen():
    story = Story(expectations=[HOURLY])
    story.poll(10, run("a", Status.SKIPPED, end=9))
    assert story.poll(70) == []
    assert story.poll(71) == [f"{FINANCE}/prod/nightly:OVERDUE:2026-01-05T00:10:00Z > oncall"]


def test_what_is_overdue_at_the_first_start_is_told_because_it_is_so_now():
    story = Story(expectations=[HOURLY], history=[run("a", S, end=-90)])
    assert story.first == [f"{FINANCE}/prod/nightly:OVERDUE:2026-01-04T22:30:00Z > oncall"]


def test_nothing_is_overdue_while_pages_of_an_outage_are_still_to_be_read():
    """Its success may be on one of them."""
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    assert story.poll(300, sweeping=True) == []
    assert story.page(300, run("b", S, end=299)) == []
    assert story.poll(301) == []


def test_a_page_between_two_polls_makes_nothing_overdue():
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    assert story.page(300) == []


def test_a_new_target_is_not_told_of_an_old_gap():
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    story.poll(62)
    story.route(("oncall", "new"), minute=63)
    assert story.poll(64) == []
    assert story.poll(66, run("b", S, end=65)) == ["b:RECOVERED > oncall"]


def test_what_is_known_to_be_recorded_is_not_decided_again():
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    story.poll(62)
    assert [each.notice.event_id for each in story.outbox.values()] == [FIRST]


def test_the_first_expectation_that_matches_wins():
    lax = Expectation(scope=Scope(pipelines=("lax*",)), success_within=timedelta(hours=5))
    story = Story(expectations=[lax, HOURLY])
    story.poll(2, run("a", S, end=1, pipeline="lax"), run("b", S, end=1, pipeline="strict"))
    assert story.poll(62) == [f"{FINANCE}/prod/strict:OVERDUE:2026-01-05T00:01:00Z > oncall"]
    assert story.expectations.success_within(PipelineKey(FINANCE, "prod", "lax"), project="") == timedelta(hours=5)


def test_what_nothing_is_expected_of_is_never_overdue():
    story = Story(expectations=[Expectation(scope=Scope(environments=("test",)), success_within=timedelta(hours=1))])
    story.poll(2, run("a", S, end=1))
    assert story.poll(9_000) == []


@pytest.mark.parametrize(
    ("triggers", "told"),
    [
        pytest.param(("*",), "> oncall", id="everything"),
        pytest.param(("SCHEDULE",), "> oncall", id="runs that start by themselves: such are expected"),
        pytest.param(("DESIGNER",), "| oncall no_route", id="runs started by hand: none of those is expected"),
    ],
)
def test_a_route_for_some_triggers_takes_overdue_when_it_takes_what_starts_by_itself(triggers, told):
    story = Story(routes=[Route(targets=("oncall",), triggers=triggers)], expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    assert story.poll(62) == [f"{FIRST} {told}"]


def test_overdue_says_all_that_one_asks_at_night():
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    story.poll(30, run("b", end=20), run("c", end=25), run("d", Status.RUNNING, end=30))
    story.poll(62)
    facts = {fact.label: fact.value for fact in story.outbox[FIRST].notice.facts}
    assert facts == {
        "project": "Finance",
        "environment": "prod",
        "pipeline": "nightly",
        "expected": "a success within 1 h",
        "last success": "2026-01-05T00:01:00Z",
        "last run": "FAILED, 2026-01-05T00:25:00Z",
        "unfinished": "RUNNING since 2026-01-05T00:29:00Z",
        "failures in a row": "2, since 2026-01-05T00:20:00Z",
    }
    notice = story.outbox[FIRST].notice
    assert notice.subject == "nightly in prod (Finance)"
    assert notice.occurred_at == at(61)
    assert notice.detected_at == at(62)


def test_overdue_of_a_pipeline_that_only_ever_succeeded_repeats_nothing():
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    story.poll(62)
    assert "last run" not in {fact.label for fact in story.outbox[FIRST].notice.facts}


def test_a_published_pipeline_that_never_ran_says_so():
    key = PipelineKey(FINANCE, "prod", "new")
    story = Story(expectations=[HOURLY])
    pipeline = PipelineState(key=key, first_seen_at=at(0), watched_since=at(0), listed_at=at(0))
    story.state = State(cursor=story.state.cursor, pipelines={key: pipeline})
    story.poll(62)
    event_id = f"{FINANCE}/prod/new:OVERDUE:2026-01-05T00:00:00Z"
    assert story.fact(event_id, "last success") == "none since it was first seen, 2026-01-05T00:00:00Z"
    assert story.fact(event_id, "last run") == "none"


def test_recovered_from_a_gap_says_how_long_it_was():
    story = Story(expectations=[HOURLY])
    story.poll(2, run("a", S, end=1))
    story.poll(62)
    story.poll(90, run("b", S, end=89))
    assert story.fact("b:RECOVERED", "recovered from") == "no success since 2026-01-05T00:01:00Z"


def test_2000_pipelines_and_many_rules_are_not_held_against_each_other_in_every_poll():
    rules = [
        Expectation(scope=Scope(pipelines=(f"team{number}/*",)), success_within=timedelta(hours=1))
        for number in range(20)
    ]
    expectations = Expectations(tuple(rules))
    pipelines = {}
    for number in range(2_000):
        key = PipelineKey(FINANCE, "prod", f"team{number % 40}/pipeline{number}")
        success = (at(number % 120).timestamp(), f"run{number}")
        pipelines[key] = PipelineState(key=key, first_seen_at=at(0), watched_since=at(0), last_success=success)
    state = State(pipelines=pipelines)
    assert len(expectations.overdue(state, at(90))) == len(expectations.overdue(state, at(90))) > 200
    fastest = min(_seconds(expectations, state) for _ in range(5))
    assert fastest < 0.05


def _seconds(expectations, state):
    began = process_time()
    expectations.overdue(state, at(90))
    return process_time() - began
