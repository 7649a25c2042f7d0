"""What is told about ourselves: the same thing has the same id, whoever finds it."""

import pytest

from exporter.core import exporter_notice
from exporter.core.events import RunsPossiblyMissed
from exporter.core.notice import EventKind

from .story import Story, at

DOWN = exporter_notice.polls_fail(since=at(10), last_good_at=at(9), cause="timeout", error="no answer", now=at(15))
UP = exporter_notice.polls_work(since=at(10), last_good_at=at(9), now=at(70))


@pytest.mark.parametrize(
    ("notice", "event_id", "subject", "first"),
    [
        (
            DOWN,
            "exporter:EXPORTER:polls_fail:2026-01-05T00:09:00Z",
            "the Maia API cannot be read",
            "every poll has failed for 5 min",
        ),
        (
            UP,
            "exporter:EXPORTER:polls_work:2026-01-05T00:09:00Z",
            "the Maia API can be read again",
            "polls work again; they failed for 1 h",
        ),
        (
            exporter_notice.target_suspended("oncall", reason="404", at=at(1)),
            "exporter:EXPORTER:target_suspended:oncall:2026-01-05T00:01:00Z",
            "target oncall is suspended",
            "target oncall accepts nothing: 404",
        ),
        (
            exporter_notice.target_back("oncall", since=at(1), at=at(31)),
            "exporter:EXPORTER:target_back:oncall:2026-01-05T00:31:00Z",
            "target oncall works again",
            "target oncall accepts messages again after 30 min; those that waited go out now",
        ),
        (
            exporter_notice.target_back("oncall", since=None, at=at(31)),
            "exporter:EXPORTER:target_back:oncall:2026-01-05T00:31:00Z",
            "target oncall works again",
            "target oncall accepts messages again; those that waited go out now",
        ),
        (
            exporter_notice.dead_letters("oncall", count=1, reason="400", at=at(1)),
            "exporter:EXPORTER:dead_letters:oncall:2026-01-05T00:01:00Z",
            "target oncall refuses a message",
            "target oncall has refused a message for good: 400",
        ),
        (
            exporter_notice.dead_letters("oncall", count=7, reason="400", at=at(1)),
            "exporter:EXPORTER:dead_letters:oncall:2026-01-05T00:01:00Z",
            "target oncall refuses 7 messages",
            "target oncall has refused 7 messages for good: 400",
        ),
        (
            exporter_notice.target_test("oncall", at=at(1)),
            "exporter:EXPORTER:test:oncall:2026-01-05T00:01:00+00:00",
            "a test of target oncall",
            "somebody ran maia-exporter alerts test; nothing is wrong",
        ),
    ],
)
def test_notices_about_ourselves(notice, event_id, subject, first):
    assert (notice.event_id, notice.event, notice.subject) == (event_id, EventKind.EXPORTER, subject)
    assert notice.facts[0].value == first
    assert notice.pipeline is None
    assert notice.run_id == ""


def test_an_outage_has_the_same_id_for_every_process_that_sees_it():
    again = exporter_notice.polls_fail_id(at(9), since=at(12))
    assert again == DOWN.event_id
    assert exporter_notice.polls_fail_id(None, since=at(12)) == "exporter:EXPORTER:polls_fail:2026-01-05T00:12:00Z"


def test_before_the_first_good_poll_it_says_that_there_was_none():
    never = exporter_notice.polls_fail(since=at(10), last_good_at=None, cause="auth", error="401", now=at(15))
    assert {fact.label: fact.value for fact in never.facts}["last good poll"] == "none yet"


def test_runs_that_may_have_been_missed_are_told_with_the_step_that_finds_it():
    story = Story()
    event = RunsPossiblyMissed(since=at(0), until=at(60))
    (decision,) = story.decide((event,), story.state, story.state, now=at(100))
    assert decision.notice.event_id == "exporter:EXPORTER:runs_possibly_missed:2026-01-05T00:00:00Z"
    assert [each.target for each in decision.dispatches if not each.suppressed] == ["oncall"]
