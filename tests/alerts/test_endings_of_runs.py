"""Which ends of runs are told: FAILED, FORBIDDEN, CANCELLED, SKIPPED, RECOVERED, VANISHED."""

import itertools

import pytest

from exporter.core.model import Status, Trigger
from exporter.core.notice import EventKind
from exporter.core.routing import Notify, Route

from .story import Story, at, run

S, F = Status.SUCCESS, Status.FAILED
ALL = frozenset(EventKind)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        pytest.param(Status.FAILED, ["a:FAILED > oncall"], id="what people are woken for"),
        pytest.param(Status.FORBIDDEN, ["a:FORBIDDEN > oncall"], id="it never ran, and must not go unnoticed"),
        pytest.param(Status.SUCCESS, [], id="nothing was broken"),
        pytest.param(Status.CANCELLED, [], id="ordinary, and nobody asked for it"),
        pytest.param(Status.SKIPPED, [], id="ordinary, and nobody asked for it either"),
        pytest.param(Status.UNKNOWN, [], id="nobody knows what it means"),
    ],
)
def test_without_routes_the_default_events_go_to_every_target(status, told):
    assert Story().poll(2, run("a", status, end=1)) == told


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.SKIPPED])
def test_ordinary_ends_are_told_where_a_route_lists_them(status):
    story = Story(routes=[Route(targets=("oncall",), events=ALL)])
    assert story.poll(2, run("a", status, end=1)) == [f"a:{status} > oncall"]


def test_a_run_that_we_cancelled_does_not_raise_cancelled():
    story = Story(routes=[Route(targets=("oncall",), events=ALL)])
    both = (run("ours", Status.CANCELLED, end=1), run("theirs", Status.CANCELLED, end=1))
    assert story.poll(2, *both, ours={"ours"}) == ["theirs:CANCELLED > oncall"]


def test_a_run_that_was_to_be_cancelled_and_failed_all_the_same_is_told():
    assert Story().poll(2, run("ours", end=1), ours={"ours"}) == ["ours:FAILED > oncall"]


def test_the_first_start_on_a_history_of_failures_tells_none_of_them():
    story = Story(history=[run("a", end=-30), run("b", Status.FORBIDDEN, end=None)])
    assert story.first == []
    assert story.outbox == {}


def test_a_success_after_failures_of_history_is_no_recovery():
    story = Story(history=[run("a", end=-30)])
    assert story.poll(2, run("b", S, end=1)) == []


def test_without_targets_nothing_is_asked_or_told():
    story = Story(targets=())
    assert story.poll(2, run("a", end=1)) == []
    assert not any(asked.told or asked.runs for asked in story.asked)


def test_a_failure_is_told_once_however_often_it_is_read():
    story = Story()
    assert story.poll(2, run("a", end=1)) == ["a:FAILED > oncall"]
    assert story.poll(3, run("a", end=1)) == []


def test_what_ended_while_we_were_down_is_told_and_marked_late():
    story = Story()
    story.poll(200, run("a", end=100), run("b", end=195))
    assert story.outbox["a:FAILED"].notice.late
    assert not story.outbox["b:FAILED"].notice.late


def test_a_run_without_an_end_is_not_late():
    story = Story()
    story.poll(200, run("a", Status.FORBIDDEN, end=None))
    assert not story.outbox["a:FORBIDDEN"].notice.late
    assert story.outbox["a:FORBIDDEN"].notice.occurred_at == at(200)


# RECOVERED


def test_the_first_success_after_a_failure_is_told_to_who_knows_of_it():
    story = Story()
    story.poll(2, run("a", end=1))
    assert story.poll(4, run("b", S, end=3)) == ["b:RECOVERED > oncall"]
    assert story.poll(6, run("c", S, end=5)) == []


def test_failure_and_success_in_one_poll_are_told_in_the_order_in_which_they_finished():
    found = Story().poll(9, run("d", end=4), run("c", S, end=3), run("b", end=2), run("a", end=1))
    assert found == ["a:FAILED > oncall", "b:FAILED > oncall", "c:RECOVERED > oncall", "d:FAILED > oncall"]


def test_cancelled_and_skipped_runs_mend_nothing():
    story = Story()
    story.poll(2, run("a", end=1))
    assert story.poll(4, run("b", Status.CANCELLED, end=3), run("c", Status.SKIPPED, end=3)) == []
    assert story.poll(6, run("d", S, end=5)) == ["d:RECOVERED > oncall"]


def test_recovered_goes_only_to_those_who_were_told():
    only_b = Route(targets=("b",), scope=Route(targets=()).scope)
    story = Story(targets=("a", "b", "c"), routes=[only_b])
    story.poll(2, run("x", end=1))
    story.route(("a", "b", "c"), minute=3)  # now everything goes to everybody
    assert story.poll(5, run("y", S, end=4)) == ["y:RECOVERED > b"]


def test_recovered_follows_the_failure_whatever_started_the_run_that_succeeded():
    """Somebody mends the pipeline by hand in Designer: who was woken by the schedule must hear of it."""
    routes = [
        Route(targets=("dev",), triggers=("DESIGNER",)),
        Route(targets=("oncall",), triggers=("SCHEDULE",)),
    ]
    story = Story(targets=("dev", "oncall"), routes=routes)
    assert story.poll(2, run("a", end=1)) == ["a:FAILED > oncall"]
    assert story.poll(4, run("b", S, end=3, trigger=Trigger.DESIGNER)) == ["b:RECOVERED > oncall"]


def test_who_does_not_want_recoveries_gets_none_and_the_reason_is_kept():
    story = Story(routes=[Route(targets=("oncall",), events=frozenset({EventKind.FAILED}))])
    story.poll(2, run("a", end=1))
    assert story.poll(4, run("b", S, end=3)) == ["b:RECOVERED | oncall no_route"]
    assert story.why("b:RECOVERED") == "no route about this pipeline lists RECOVERED for it"


def test_a_target_that_is_gone_is_told_of_no_recovery():
    story = Story(targets=("a", "b"))
    story.poll(2, run("x", end=1))
    story.route(("b",), minute=3)
    assert story.poll(5, run("y", S, end=4)) == ["y:RECOVERED > b"]


def test_recovered_says_from_what():
    story = Story()
    story.poll(4, run("a", end=1), run("b", end=3))
    story.poll(6, run("c", S, end=5))
    assert story.fact("c:RECOVERED", "recovered from") == "2 failures in a row, since 2026-01-05T00:01:00Z"


# Rows that are read late and out of order


def test_a_failure_read_after_the_success_that_followed_it_is_told_with_its_recovery():
    """After an outage the newest page is read first."""
    story = Story(history=[run("zero", S, end=-5)])
    assert story.poll(100, run("b", S, end=50)) == []
    assert story.page(100, run("a", end=40)) == ["a:FAILED > oncall", "b:RECOVERED > oncall"]
    assert story.outbox["a:FAILED"].notice.late


def test_a_success_read_after_a_later_failure_mends_nothing():
    story = Story()
    assert story.poll(100, run("c", end=60)) == ["c:FAILED > oncall"]
    assert story.page(100, run("b", S, end=50)) == []
    assert story.page(100, run("a", end=40)) == ["a:FAILED > oncall"]
    assert story.poll(110, run("d", S, end=105)) == ["d:RECOVERED > oncall"]


def test_a_recovery_whose_run_is_no_longer_recorded_is_not_told():
    story = Story()
    story.poll(100, run("b", S, end=50))
    story.finished.clear()
    assert story.page(101, run("a", end=40)) == ["a:FAILED > oncall"]


def test_late_ends_on_both_sides_of_a_known_success_stay_in_order():
    story = Story()
    story.poll(100, run("b", S, end=50))
    found = story.poll(101, run("c", end=60), run("a", end=40))
    assert found == ["a:FAILED > oncall", "b:RECOVERED > oncall", "c:FAILED > oncall"]


RUNS = [run("a", end=1), run("b", S, end=2), run("c", end=3), run("d", end=4), run("e", S, end=5)]


@pytest.mark.parametrize("order", list(itertools.permutations(RUNS)), ids=lambda o: "".join(r.run_id for r in o))
def test_whatever_order_rows_are_read_in_one_step_says_the_same(order):
    assert Story().poll(9, *order) == [
        "a:FAILED > oncall",
        "b:RECOVERED > oncall",
        "c:FAILED > oncall",
        "d:FAILED > oncall",
        "e:RECOVERED > oncall",
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(RUNS)), ids=lambda o: "".join(r.run_id for r in o))
def test_whatever_order_pages_come_in_every_failure_is_told_and_the_last_word_is_right(order):
    story = Story()
    told = [line for each in order for line in story.page(9, each)]
    assert {line for line in told if "FAILED" in line} == {f"{run_id}:FAILED > oncall" for run_id in "acd"}
    assert len(told) == len(set(told))
    # Whoever reads the messages one after the other ends with the truth: it works again.
    event_id = told[-1].partition(" ")[0]
    last_word = story.fact(event_id, "since then")
    assert "RECOVERED" in event_id or last_word == "it has succeeded, last at 2026-01-05T00:05:00Z"


# The failures in a row


@pytest.mark.parametrize(
    ("event_id", "said"),
    [
        ("a:FAILED", "1"),
        ("b:FORBIDDEN", "2, since 2026-01-05T00:01:00Z"),
        ("d:FAILED", "1"),
        ("e:FAILED", "2, since 2026-01-05T00:04:00Z"),
    ],
)
def test_a_failure_says_the_how_manieth_in_a_row_it_is_and_since_when(event_id, said):
    story = Story()
    story.poll(2, run("a", end=1))
    story.poll(
        5, run("b", Status.FORBIDDEN, end=2), run("c", S, end=3), run("d", end=4), run("s", Status.SKIPPED, end=5)
    )
    story.poll(6, run("e", end=6))
    assert story.fact(event_id, "failures in a row") == said


def test_failures_of_history_count_in_the_row():
    story = Story(history=[run("a", end=-60), run("b", end=-30)])
    story.poll(2, run("c", end=1))
    assert story.fact("c:FAILED", "failures in a row") == "3, since 2026-01-04T23:00:00Z"


def test_a_row_longer_than_what_is_kept_of_it_is_counted_whole():
    story = Story()
    story.poll(1_001, *(run(f"r{minute:04}", end=minute) for minute in range(1, 1_001)))
    assert story.fact("r1000:FAILED", "failures in a row") == "1,000, since 2026-01-05T00:01:00Z"
    story.poll(1_003, run("s", end=1_002))
    assert story.fact("s:FAILED", "failures in a row") == "1,001, since 2026-01-05T00:01:00Z"
    story.poll(1_009, run("t", S, end=1_004), run("u", end=1_005))
    assert story.fact("t:RECOVERED", "recovered from") == "1,001 failures in a row, since 2026-01-05T00:01:00Z"
    assert story.fact("u:FAILED", "failures in a row") == "1"


# notify = "change"


CHANGE = Route(targets=("oncall",), notify=Notify.CHANGE)


def test_change_tells_the_first_failure_in_a_row_and_the_recovery():
    story = Story(routes=[CHANGE])
    assert story.poll(2, run("a", end=1)) == ["a:FAILED > oncall"]
    assert story.poll(4, run("b", Status.FORBIDDEN, end=3)) == ["b:FORBIDDEN | oncall unchanged"]
    assert story.poll(6, run("c", S, end=5)) == ["c:RECOVERED > oncall"]
    assert story.poll(8, run("d", end=7)) == ["d:FAILED > oncall"]
    assert 'notify = "change"' in story.why("b:FORBIDDEN")


def test_change_within_one_poll():
    found = Story(routes=[CHANGE]).poll(9, *(run(f"r{end}", end=end) for end in (1, 2)), run("s", S, end=3))
    assert found == ["r1:FAILED > oncall", "r2:FAILED | oncall unchanged", "s:RECOVERED > oncall"]


def test_change_tells_who_does_not_know_yet():
    """The pipeline was broken before our first start: of that nobody was told."""
    story = Story(routes=[CHANGE], history=[run("a", end=-30)])
    assert story.poll(2, run("b", end=1)) == ["b:FAILED > oncall"]
    assert story.poll(4, run("c", end=3)) == ["c:FAILED | oncall unchanged"]


def test_change_tells_a_row_that_is_read_backwards_once():
    story = Story(routes=[CHANGE])
    told = [story.page(100, run(name, end=end)) for name, end in (("c", 30), ("b", 20), ("a", 10))]
    assert told == [["c:FAILED > oncall"], ["b:FAILED | oncall unchanged"], ["a:FAILED | oncall unchanged"]]


def test_change_and_every_on_two_routes_to_one_target_tell_it():
    both = [Route(targets=("oncall",), notify=Notify.CHANGE, continues=True), Route(targets=("oncall",))]
    story = Story(routes=both)
    story.poll(2, run("a", end=1))
    assert story.poll(4, run("b", end=3)) == ["b:FAILED > oncall"]


# VANISHED


def test_a_run_that_the_api_no_longer_knows_is_told():
    story = Story()
    story.poll(2, run("a", Status.RUNNING, end=2))
    assert story.poll(3, missing=["a"]) == []
    assert story.poll(4, missing=["a"]) == ["a:VANISHED > oncall"]
    said = story.fact("a:VANISHED", "vanished")
    assert said == "the API does not know this run any more since 2026-01-05T00:03:00Z; it had not ended"
    assert story.outbox["a:VANISHED"].notice.occurred_at == at(4)


def test_a_run_that_comes_back_and_fails_is_told_as_well():
    story = Story()
    story.poll(2, run("a", Status.RUNNING, end=2))
    story.poll(3, missing=["a"])
    story.poll(4, missing=["a"])
    assert story.poll(5, run("a", end=5)) == ["a:FAILED > oncall"]


# What the record is asked


def test_a_quiet_step_asks_the_record_nothing():
    story = Story()
    story.poll(2, run("a", S, end=1), run("b", end=1, pipeline="other"), run("c", Status.SKIPPED, end=1))
    assert not story.asked[-1].told
    assert not story.asked[-1].runs


def test_deciding_the_same_step_twice_gives_the_same():
    story = Story(targets=("a", "b"))
    story.poll(2, run("x", end=1))
    before = story.state
    first = story.step(9, run("y", S, end=3), run("z", end=4))
    story.state, story.finished = before, {"x": story.finished["x"]}
    for each in first:
        del story.outbox[each.notice.event_id]
    assert story.step(9, run("z", end=4), run("y", S, end=3)) == first
