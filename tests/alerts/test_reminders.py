"""`remind_every`: while a pipeline stays broken, who was told is reminded."""

from datetime import timedelta

from exporter.core.model import Status
from exporter.core.routing import Notify, Route
from exporter.core.silences import Silence

from .story import Story, at, run

S = Status.SUCCESS
HOUR = timedelta(hours=1)


def reminding(every=HOUR, target="oncall", **fields):
    return Route(targets=(target,), remind_every=every, **fields)


def test_who_was_told_is_reminded_until_it_works_again():
    story = Story(routes=[reminding()])
    story.poll(2, run("a", end=1))
    assert story.poll(60) == []
    assert story.poll(61) == ["a:FAILED:reminder:1 > oncall"]
    assert story.poll(62) == []
    assert story.poll(121) == ["a:FAILED:reminder:2 > oncall"]
    assert story.poll(130, run("b", S, end=129)) == ["b:RECOVERED > oncall"]
    assert story.poll(300) == []


def test_without_remind_every_nobody_is_reminded():
    story = Story(routes=[Route(targets=("oncall",))])
    story.poll(2, run("a", end=1))
    assert story.poll(5_000) == []


def test_change_and_reminders_together_tell_what_is_left_out_in_between():
    story = Story(routes=[reminding(notify=Notify.CHANGE)])
    story.poll(2, run("a", end=1))
    assert story.poll(30, run("b", Status.FORBIDDEN, end=29)) == ["b:FORBIDDEN | oncall unchanged"]
    assert story.poll(62) == ["b:FORBIDDEN:reminder:1 > oncall"]
    assert story.fact("b:FORBIDDEN:reminder:1", "failures in a row") == "2, since 2026-01-05T00:01:00Z"
    assert story.fact("b:FORBIDDEN:reminder:1", "reminder") == "still broken after 1 h 1 min"
    notice = story.outbox["b:FORBIDDEN:reminder:1"].notice
    assert notice.subject == "nightly in prod (Finance), still broken"
    assert not notice.late


def test_a_poll_after_a_long_pause_reminds_once():
    story = Story(routes=[reminding()])
    story.poll(2, run("a", end=1))
    assert story.poll(400) == ["a:FAILED:reminder:6 > oncall"]
    assert story.poll(401) == []


def test_routes_that_remind_at_different_times_never_share_an_event():
    routes = [reminding(HOUR, "a", continues=True), reminding(timedelta(minutes=90), "b")]
    story = Story(targets=("a", "b"), routes=routes)
    story.poll(2, run("x", end=1))
    told = [line for minute in range(3, 200) for line in story.poll(minute)]
    assert told == [
        "x:FAILED:reminder:2 > a",
        "x:FAILED:reminder:3 > b",
        "x:FAILED:reminder:4 > a",
        "x:FAILED:reminder:6 > a",
        "x:FAILED:reminder:6 > b",
    ]


def test_who_was_never_told_is_not_reminded():
    """Of history, of what was silenced, and of what broke before the target was there."""
    story = Story(routes=[reminding()], history=[run("a", end=-30)])
    assert story.poll(500) == []
    story = Story(routes=[reminding()])
    story.poll(2, run("a", end=1))
    story.route(("oncall", "new"), [reminding(target="new", continues=True), reminding()], minute=3)
    assert story.poll(61) == ["a:FAILED:reminder:1 > oncall"]


def test_a_route_that_does_not_match_the_run_reminds_nobody():
    story = Story(routes=[Route(targets=("oncall",), continues=True), reminding(triggers=("DESIGNER",))])
    story.poll(2, run("a", end=1))
    assert story.poll(62) == []


def test_nobody_is_reminded_while_pages_of_an_outage_are_still_to_be_read():
    story = Story(routes=[reminding()])
    story.poll(2, run("a", end=1))
    assert story.poll(61, sweeping=True) == []


def test_a_reminder_whose_run_is_no_longer_recorded_is_left_out():
    story = Story(routes=[reminding()])
    story.poll(2, run("a", end=1))
    story.finished.clear()
    assert story.poll(61) == []


def test_a_reminder_can_be_silenced():
    story = Story(routes=[reminding()])
    story.poll(2, run("a", end=1))
    story.silences = [Silence(silence_id="s1", starts_at=at(50), ends_at=at(70))]
    assert story.poll(61) == ["a:FAILED:reminder:1 | oncall silenced"]
    assert story.poll(121) == ["a:FAILED:reminder:2 > oncall"]


def test_a_reminder_says_which_route_reminds():
    story = Story(routes=[reminding()])
    story.poll(2, run("a", end=1))
    story.poll(61)
    assert story.why("a:FAILED:reminder:1") == "route 1, which reminds every 1h"
