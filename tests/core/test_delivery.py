"""What an answer means for a message and for its target: the table of `exporter.core.delivery`, row by row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter.core.delivery import (
    FAILURES,
    MAYBE_SENT,
    Form,
    News,
    Outcome,
    OutcomeClass,
    Standing,
    TargetHealth,
    TargetNews,
    ends_an_outage,
    message_after,
    news_of,
    pace,
    recently,
    target_after,
)
from exporter.core.notice import DeliveryState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=3)
LEASED = Standing(state=DeliveryState.LEASED, next_at=NOON - timedelta(minutes=1))
WELL = TargetHealth()
HELD = TargetHealth(held_until=LATER, failing_since=NOON)


def seconds(number):
    return timedelta(seconds=number)


def pause(failures):
    return seconds(5 * failures)


def test_what_was_sent_is_settled_and_stays_as_it_was():
    assert message_after(OutcomeClass.SENT, LEASED, now=NOON, target=WELL) == replace(LEASED, state=DeliveryState.SENT)


@pytest.mark.parametrize(
    ("outcome", "ambiguous", "doubt"),
    [
        (OutcomeClass.THROTTLED, False, 0),
        (OutcomeClass.TARGET_BROKEN, False, 0),
        (OutcomeClass.UNAVAILABLE, False, 0),
        (OutcomeClass.SERVER_ERROR, True, 1),
        (OutcomeClass.AMBIGUOUS, True, 10),
        (OutcomeClass.INTERRUPTED, True, 0),
    ],
)
def test_a_failure_waits_for_its_target_and_is_marked_where_a_copy_may_have_arrived(outcome, ambiguous, doubt):
    after = message_after(outcome, LEASED, now=NOON, target=HELD)

    assert after == replace(LEASED, state=DeliveryState.PENDING, next_at=LATER, ambiguous=ambiguous, doubt=doubt)
    assert (outcome in MAYBE_SENT) == ambiguous


def test_where_nothing_holds_the_target_a_failure_is_due_at_once():
    assert message_after(OutcomeClass.UNAVAILABLE, LEASED, now=NOON, target=WELL).next_at == NOON


def test_what_may_have_arrived_once_stays_marked():
    before = replace(LEASED, ambiguous=True, doubt=3)

    after = message_after(OutcomeClass.UNAVAILABLE, before, now=NOON, target=HELD)

    assert (after.ambiguous, after.doubt) == (True, 3)


@pytest.mark.parametrize(
    ("outcome", "doubt", "waits"),
    [
        (OutcomeClass.AMBIGUOUS, 30, timedelta(minutes=3)),  # the fourth
        (OutcomeClass.AMBIGUOUS, 40, timedelta(hours=1)),  # the fifth
        (OutcomeClass.SERVER_ERROR, 48, timedelta(minutes=3)),
        (OutcomeClass.SERVER_ERROR, 49, timedelta(hours=1)),
        (OutcomeClass.UNAVAILABLE, 60, timedelta(minutes=3)),  # this answer leaves nothing open
    ],
)
def test_after_five_ambiguous_answers_a_copy_an_hour(outcome, doubt, waits):
    after = message_after(outcome, replace(LEASED, doubt=doubt), now=NOON, target=HELD)

    assert after.next_at - NOON == waits


@pytest.mark.parametrize(
    ("before", "state", "form"),
    [
        (LEASED, DeliveryState.PENDING, Form.MINIMAL),
        (replace(LEASED, form=Form.ALONE), DeliveryState.PENDING, Form.MINIMAL),
        (replace(LEASED, digest="digest-1-1"), DeliveryState.PENDING, Form.ALONE),
        (replace(LEASED, form=Form.MINIMAL), DeliveryState.DEAD, Form.MINIMAL),
    ],
)
def test_what_is_refused_goes_alone_then_in_minimal_form_then_is_dead(before, state, form):
    after = message_after(OutcomeClass.POISON, before, now=NOON, target=HELD)

    assert (after.state, after.form, after.digest) == (state, form, "")
    if state is DeliveryState.PENDING:
        assert after.next_at == NOON


FAILING = TargetHealth(
    reason="HTTP 503",
    held_until=NOON,
    failing_since=NOON - timedelta(minutes=20),
    failures=3,
    slowed_until=LATER,
    last_success_at=NOON - timedelta(hours=1),
)


def test_a_success_ends_all_trouble_but_not_that_it_is_slowed():
    after = target_after(Outcome(OutcomeClass.SENT), FAILING, now=NOON, pause=pause)

    assert after == TargetHealth(last_success_at=NOON, slowed_until=LATER)
    assert not after.failing


def test_a_refused_message_says_that_the_target_works():
    after = target_after(Outcome(OutcomeClass.POISON, "HTTP 400"), FAILING, now=NOON, pause=pause)

    assert after == TargetHealth(last_success_at=FAILING.last_success_at, slowed_until=LATER)


def test_a_failure_holds_the_target_longer_each_time():
    first = target_after(Outcome(OutcomeClass.UNAVAILABLE, "no connection"), WELL, now=NOON, pause=pause)
    second = target_after(Outcome(OutcomeClass.AMBIGUOUS, "no answer"), first, now=LATER, pause=pause)

    assert first == TargetHealth(reason="no connection", held_until=NOON + seconds(5), failing_since=NOON, failures=1)
    assert second == TargetHealth(reason="no answer", held_until=LATER + seconds(10), failing_since=NOON, failures=2)
    assert second.failing
    assert not second.suspended


def test_a_broken_target_is_suspended_and_probed_every_quarter_of_an_hour_whatever_the_probe_says():
    broken = target_after(Outcome(OutcomeClass.TARGET_BROKEN, "HTTP 401"), WELL, now=NOON, pause=pause)
    still = target_after(Outcome(OutcomeClass.UNAVAILABLE, "no connection"), broken, now=LATER, pause=pause)

    assert (broken.suspended, broken.held_until, broken.reason) == (True, NOON + timedelta(minutes=15), "HTTP 401")
    assert broken.failing
    assert (still.suspended, still.held_until) == (True, LATER + timedelta(minutes=15))
    assert still.slowed_until is None


@pytest.mark.parametrize(("failures", "waits"), [(0, 60), (1, 120), (2, 240), (3, 480), (4, 600), (400, 600)])
def test_a_throttled_target_is_left_alone_twice_as_long_each_time_and_slowed_for_ten_minutes_more(failures, waits):
    before = replace(WELL, failures=failures)

    after = target_after(Outcome(OutcomeClass.THROTTLED, "HTTP 429"), before, now=NOON, pause=pause)

    assert after.held_until == NOON + seconds(waits)
    assert after.slowed_until == NOON + seconds(waits) + timedelta(minutes=10)
    assert not after.suspended


@pytest.mark.parametrize(
    ("minutes", "after", "ends"),
    [
        (10, WELL, True),
        (9.9, WELL, False),
        (10, HELD, False),  # it still fails
    ],
)
def test_an_outage_is_one_of_ten_minutes_that_is_over(minutes, after, ends):
    before = replace(HELD, failing_since=NOON - timedelta(minutes=minutes))

    assert ends_an_outage(before, after, now=NOON) is ends


def test_what_did_not_fail_ends_no_outage():
    assert ends_an_outage(WELL, WELL, now=NOON) is False


def test_news_are_that_a_target_is_suspended_and_that_it_is_back():
    broken = replace(FAILING, suspended=True)

    assert news_of("slack", WELL, broken, now=NOON) == (
        TargetNews(news=News.SUSPENDED, target="slack", at=NOON, reason="HTTP 503"),
    )
    assert news_of("slack", broken, WELL, now=NOON) == (
        TargetNews(news=News.BACK, target="slack", at=NOON, since=FAILING.failing_since),
    )
    assert news_of("slack", broken, broken, now=NOON) == ()
    assert news_of("slack", WELL, FAILING, now=NOON) == ()


def sent(*ago):
    return tuple(NOON - seconds(each) for each in sorted(ago, reverse=True))


@pytest.mark.parametrize(
    ("per_minute", "sent_at", "slots", "next_in"),
    [
        (20, sent(), 10, 0),  # half of a minute's at once
        (20, sent(*range(1, 10)), 1, 0),
        (20, sent(*range(1, 11)), 0, 2),  # the other half spaced out: every 3 s
        (20, sent(*range(3, 13)), 1, 0),
        (20, sent(*range(1, 21)), 0, 40),  # never more than 20 in any minute
        (20, sent(*range(3, 23)), 0, 38),
        (20, sent(*range(61, 81)), 10, 0),  # of a minute ago
        (20, sent(*range(60, 80)), 10, 0),
        (1, sent(), 1, 0),
        (1, sent(20), 0, 40),
        (3, sent(10), 1, 0),  # half of it, and the rest up
        (3, sent(10, 30), 0, 10),
    ],
)
def test_how_many_may_go_out_now_and_when_the_next_one_may(per_minute, sent_at, slots, next_in):
    assert pace(sent_at, per_minute=per_minute, now=NOON) == (slots, NOON + seconds(next_in))


def test_what_was_sent_in_the_future_was_sent_by_a_wrong_clock_and_does_not_count():
    assert recently((NOON - seconds(60), NOON - seconds(59), NOON, NOON + seconds(1)), now=NOON) == (
        NOON - seconds(59),
        NOON,
    )


def test_every_outcome_but_success_is_a_failure():
    assert set(FAILURES) == set(OutcomeClass) - {OutcomeClass.SENT}
