"""Whom a notice goes to: routes in order, what held when it happened, silences, notices about ourselves."""

from datetime import timedelta

import msgspec
import pytest

from exporter.core.globs import Scope
from exporter.core.model import PipelineKey, Status, Trigger
from exporter.core.notice import EventKind, Notice, Suppression
from exporter.core.routing import (
    DEFAULT_EVENTS,
    EPOCHS_KEPT,
    Matter,
    Notify,
    Route,
    Routing,
    RoutingEpoch,
    Switchboard,
    begin_routing,
)
from exporter.core.silences import Silence, silence_of

from .story import FINANCE, START, Story, at, lines, run

KEY = PipelineKey(FINANCE, "prod", "finance/nightly.orch.yaml")
MATTER = Matter(pipeline=KEY, project="Finance", triggers=(Trigger.SCHEDULE,))
TARGETS = ("a", "b", "c")


def notice(event=EventKind.FAILED, minute=1, event_id="x"):
    return Notice(
        event_id=event_id, event=event, occurred_at=at(minute), detected_at=at(minute), subject="s", pipeline=KEY
    )


def board(*routes, targets=TARGETS, silences=()):
    epochs = begin_routing((), Routing(targets=targets, routes=routes), START)
    return Switchboard(epochs=epochs, silences=silences, now=at(1))


def to(target, **fields):
    scope = {key: fields.pop(key) for key in ("projects", "environments", "pipelines") if key in fields}
    return Route(targets=(target,), scope=Scope(**scope), **fields)


@pytest.mark.parametrize(
    ("routes", "event", "told"),
    [
        pytest.param([], EventKind.FAILED, "abc", id="no route at all: everything to every target"),
        pytest.param([], EventKind.SKIPPED, "", id="but the default events"),
        pytest.param([to("a"), to("b")], EventKind.FAILED, "a", id="the first match wins"),
        pytest.param([to("a", continues=True), to("b")], EventKind.FAILED, "ab", id="unless it continues"),
        pytest.param([to("a", events=frozenset({EventKind.SKIPPED})), to("b")], EventKind.FAILED, "b", id="event"),
        pytest.param([to("a", environments=("test",)), to("b")], EventKind.FAILED, "b", id="environment"),
        pytest.param([to("a", projects=("Sales",)), to("b")], EventKind.FAILED, "b", id="project"),
        pytest.param([to("a", projects=(FINANCE,)), to("b")], EventKind.FAILED, "a", id="project by its id"),
        pytest.param([to("a", pipelines=("nightly",)), to("b")], EventKind.FAILED, "a", id="pipeline, short"),
        pytest.param([to("a", pipelines=("sales/*",)), to("b")], EventKind.FAILED, "b", id="pipeline"),
        pytest.param([to("a", triggers=("API",)), to("b")], EventKind.FAILED, "b", id="trigger"),
        pytest.param([to("a", triggers=("SCHED*",)), to("b")], EventKind.FAILED, "a", id="trigger by a glob"),
        pytest.param([to("a", environments=("test",))], EventKind.FAILED, "", id="nothing matches"),
        pytest.param([to("gone")], EventKind.FAILED, "", id="to a target that is not there any more"),
        pytest.param([to("a", continues=True), to("a")], EventKind.FAILED, "a", id="once a target"),
    ],
)
def test_routes(routes, event, told):
    decision = board(*routes).address(notice(event), MATTER)
    assert "".join(each.target for each in decision.dispatches if not each.suppressed) == told


def test_what_no_route_matches_is_recorded_for_every_target_with_the_reason():
    decision = board(to("a", environments=("test",))).address(notice(), MATTER)
    assert [each.target for each in decision.dispatches] == list(TARGETS)
    assert {each.suppressed for each in decision.dispatches} == {Suppression.NO_ROUTE}
    assert decision.dispatches[0].why == "no route matches this FAILED"


def test_who_is_not_named_by_the_route_that_matched_has_no_row():
    assert [each.target for each in board(to("b")).address(notice(), MATTER).dispatches] == ["b"]


@pytest.mark.parametrize(
    ("routes", "why"),
    [
        ([], "there is no route, so that everything goes to every target"),
        ([to("b", environments=("x",)), to("a")], "route 2"),
        (
            [to("a", projects=("Fin*",), environments=("prod", "test"), pipelines=("nightly*",), triggers=("S*",))],
            "route 1 (projects Fin*; environments prod, test; pipelines nightly*; triggers S*)",
        ),
    ],
)
def test_the_reason_names_the_route(routes, why):
    assert board(*routes).address(notice(), MATTER).dispatches[0].why == why


def test_the_default_events_are_those_of_the_page():
    left_out = {"CANCELLED", "SKIPPED"}
    assert {event.value for event in DEFAULT_EVENTS} == {event.value for event in EventKind} - left_out


# What held when it happened


def test_a_new_target_or_route_is_told_nothing_that_finished_before_it():
    story = Story(targets=("old",))
    story.route(("old", "new"), minute=10)
    found = story.poll(20, run("before", end=9), run("after", end=11))
    assert found == ["before:FAILED > old", "after:FAILED > old", "after:FAILED > new"]


def test_what_a_removed_route_would_have_told_is_still_told():
    """The config is changed at the minute in which a run fails: nobody must be lost between the two."""
    story = Story(routes=[to("oncall", environments=("prod",))])
    story.route(("oncall",), [to("oncall", environments=("test",))], minute=10)
    assert story.poll(20, run("before", end=9), run("after", end=11)) == [
        "before:FAILED > oncall",
        "after:FAILED | oncall no_route",
    ]


def test_the_reason_says_when_older_routes_decided():
    story = Story(routes=[to("oncall", environments=("test",))])
    story.route(("oncall",), minute=10)
    story.poll(20, run("a", end=9))
    assert story.why("a:FAILED") == ("no route matches this FAILED of 2026-01-05T00:09:00Z, by the routes of that time")


def test_what_happened_before_all_that_is_remembered_goes_by_the_oldest():
    assert lines(board(to("a")).address(notice(minute=-5), MATTER)) == ["x > a"]


def test_an_end_in_the_very_second_of_a_change_is_told_by_the_new_routes():
    """The API's instants are cut off to a second: it may have ended after the change."""
    epochs = begin_routing((), Routing(targets=("a",)), at(0))
    epochs = begin_routing(epochs, Routing(targets=("b",)), at(10) + timedelta(milliseconds=900))
    switchboard = Switchboard(epochs=epochs, now=at(20))
    assert lines(switchboard.address(notice(minute=10), MATTER)) == ["x > b"]
    assert switchboard.routing_of(notice(minute=9)) == epochs[0].routing


def test_what_is_news_of_this_moment_goes_by_the_routes_of_now():
    epochs = begin_routing((), Routing(targets=("a",)), at(0))
    epochs = begin_routing(epochs, Routing(targets=("b",)), at(10))
    switchboard = Switchboard(epochs=epochs, now=at(20))
    assert lines(switchboard.address(notice(EventKind.OVER_LIMIT, minute=5), MATTER)) == ["x > b"]


def test_epochs_begin_only_with_another_config_and_the_oldest_are_forgotten():
    routings = [Routing(targets=(str(number),)) for number in range(EPOCHS_KEPT + 5)]
    epochs = begin_routing((), routings[0], at(0))
    assert begin_routing(epochs, routings[0], at(1)) is epochs
    for minute, routing in enumerate(routings):
        epochs = begin_routing(epochs, routing, at(minute))
    assert len(epochs) == EPOCHS_KEPT
    assert epochs[-1] == RoutingEpoch(since=at(EPOCHS_KEPT + 4), routing=routings[-1])


def test_epochs_can_be_kept_as_json():
    route = to("a", pipelines=("x*",), notify=Notify.CHANGE)
    epochs = begin_routing((), Routing(targets=("a",), routes=(route,)), at(0))
    assert msgspec.json.decode(msgspec.json.encode(epochs), type=tuple[RoutingEpoch, ...]) == epochs


# Silences


def silence(silence_id="s1", start=0, end=10, **fields):
    return Silence(silence_id=silence_id, starts_at=at(start), ends_at=at(end), **fields)


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        pytest.param({}, True, id="everything"),
        pytest.param({"project": "Fin*"}, True, id="project"),
        pytest.param({"project": FINANCE}, True, id="project by its id"),
        pytest.param({"project": "Sales"}, False, id="another project"),
        pytest.param({"environment": "prod"}, True, id="environment"),
        pytest.param({"environment": "test"}, False, id="another environment"),
        pytest.param({"pipeline": "finance/*"}, True, id="pipeline"),
        pytest.param({"pipeline": "nightly"}, True, id="pipeline, short"),
        pytest.param({"pipeline": "sales*"}, False, id="another pipeline"),
        pytest.param({"start": 1, "end": 2}, True, id="from its first instant"),
        pytest.param({"start": 0, "end": 1}, False, id="over at its last"),
        pytest.param({"start": 2, "end": 3}, False, id="not yet"),
    ],
)
def test_a_silence_covers(fields, holds):
    decision = board(targets=("a",), silences=(silence(**fields),)).address(notice(), MATTER)
    assert (decision.dispatches[0].suppressed is Suppression.SILENCED) is holds


def test_what_is_silenced_is_recorded_with_who_why_and_until_when():
    said = silence(author="jane", comment="migration")
    decision = board(to("a"), silences=(said,)).address(notice(), MATTER)
    assert decision.dispatches[0].why == "silence s1 by jane until 2026-01-05T00:10:00Z (migration); route 1"
    bare = board(to("a"), silences=(silence(),)).address(notice(), MATTER)
    assert bare.dispatches[0].why == "silence s1 until 2026-01-05T00:10:00Z; route 1"


def test_of_two_silences_the_one_that_lasts_longer_is_named():
    both = (silence("s1", end=9), silence("s2", end=11), silence("s0", end=11))
    assert silence_of(both, KEY, project="Finance", now=at(1)).silence_id == "s2"
    assert silence_of((), KEY, project="Finance", now=at(1)) is None


def test_what_is_not_told_anyway_keeps_its_reason():
    decision = board(to("a", environments=("x",)), silences=(silence(),)).address(notice(), MATTER)
    assert {each.suppressed for each in decision.dispatches} == {Suppression.NO_ROUTE}


def test_a_silenced_failure_is_never_told_later_nor_recovered():
    story = Story(silences=[silence(end=10)])
    assert story.poll(2, run("a", end=1)) == ["a:FAILED | oncall silenced"]
    assert story.poll(20, run("a", end=1)) == []
    assert story.poll(22, run("b", Status.SUCCESS, end=21)) == []


def test_change_tells_the_first_failure_after_a_silence():
    story = Story(routes=[to("oncall", notify=Notify.CHANGE)], silences=[silence(end=10)])
    story.poll(2, run("a", end=1))
    assert story.poll(20, run("b", end=19)) == ["b:FAILED > oncall"]


def test_a_recovery_can_be_silenced():
    story = Story()
    story.poll(2, run("a", end=1))
    story.silences = [silence(start=3, end=10)]
    assert story.poll(5, run("b", Status.SUCCESS, end=4)) == ["b:RECOVERED | oncall silenced"]


# Notices about ourselves


@pytest.mark.parametrize(
    ("routes", "but", "told"),
    [
        pytest.param([], "", "abc", id="no route"),
        pytest.param([], "b", "ac", id="not the target that it is about"),
        pytest.param(
            [to("a", environments=("x",)), to("b")], "", "ab", id="whatever the routes match, and all of them"
        ),
        pytest.param([to("a", events=frozenset({EventKind.FAILED})), to("b")], "", "b", id="only where it is listed"),
        pytest.param([to("a"), to("a")], "a", "", id="nobody is left"),
    ],
)
def test_exporter_events_go_to_every_target_of_every_route_that_lists_them(routes, but, told):
    decision = board(*routes).broadcast(notice(EventKind.EXPORTER), but=but)
    assert "".join(each.target for each in decision.dispatches if not each.suppressed) == told
    assert all(each.target != but for each in decision.dispatches)


def test_an_exporter_event_that_nobody_lists_is_recorded():
    only = to("a", events=frozenset({EventKind.FAILED}))
    assert lines(board(only).broadcast(notice(EventKind.EXPORTER), but="b")) == ["x | a no_route", "x | c no_route"]


def whys(decision):
    return {each.target: each.why for each in decision.dispatches}


def test_a_decision_says_which_route_made_it():
    two = board(
        to("a", events=frozenset({EventKind.SKIPPED})), to("b", pipelines=("nightly",), continues=True), to("c")
    )

    assert whys(two.address(notice(), MATTER)) == {"b": "route 2 (pipelines nightly)", "c": "route 3"}
    assert whys(board().address(notice(), MATTER)) == dict.fromkeys(
        TARGETS, "there is no route, so that everything goes to every target"
    )


def test_an_answer_says_which_route_made_it():
    two = board(to("a", events=frozenset({EventKind.SKIPPED})), to("b", pipelines=("nightly",)), to("c"))

    decision = two.answer(notice(EventKind.RECOVERED), MATTER, told=("a", "b", "c"))

    assert whys(decision) == {
        "a": "no route about this pipeline lists RECOVERED for it",
        "b": "it was told that the pipeline is broken; route 2 (pipelines nightly)",
        "c": "it was told that the pipeline is broken; route 3",
    }
    assert [each.target for each in decision.dispatches if each.suppressed] == ["a"]


def test_a_broadcast_says_which_route_made_it_and_leaves_out_whom_it_is_about():
    two = board(to("a", events=frozenset({EventKind.SKIPPED})), to("b", pipelines=("sales/*",)), to("b"), to("c"))

    assert whys(two.broadcast(notice(EventKind.EXPORTER))) == {
        "b": "route 2 (pipelines sales/*), whatever it matches",
        "c": "route 4, whatever it matches",
    }
    assert set(whys(two.broadcast(notice(EventKind.EXPORTER), but="b"))) == {"c"}


def test_a_broadcast_that_no_route_takes_is_recorded_for_all_but_whom_it_is_about():
    nobody = board(to("a", events=frozenset({EventKind.SKIPPED})))

    assert whys(nobody.broadcast(notice(EventKind.EXPORTER), but="a")) == dict.fromkeys(
        ("b", "c"), "no route matches this EXPORTER"
    )


def test_a_target_that_is_gone_does_not_hold_up_those_after_it_in_its_route():
    one = board(Route(targets=("gone", "a")))

    assert whys(one.address(notice(), MATTER)) == {"a": "route 1"}
