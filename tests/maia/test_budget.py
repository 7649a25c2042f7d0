"""The request budget: the account's other users must never feel us, and we must never stand still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.maia.budget import Budget, Wait


def send(budget: Budget, now: float, *, reserve: int = 0) -> float:
    """Wait as told until the request may go out; when that is."""
    for _ in range(4):
        wait = budget.take(now, reserve=reserve)
        if wait is None:
            return now
        now += wait.seconds
    raise AssertionError("told to wait again and again")


def burst(budget: Budget, now: float, *, reserve: int = 0) -> int:
    """How many requests may go out at once."""
    count = 0
    while budget.take(now, reserve=reserve) is None:
        count += 1
    return count


@given(
    requests_per_minute=st.integers(1, 60),
    gaps=st.lists(
        st.one_of(st.just(0.0), st.floats(0, 2), st.floats(0, 200), st.sampled_from([60.0, 61.0])), max_size=300
    ),
    start=st.floats(0, 1e9),
)
def test_no_rolling_minute_holds_more_than_requests_per_minute(
    requests_per_minute: int, gaps: list[float], start: float
):
    budget = Budget(requests_per_minute)
    sent: list[float] = []
    now = start
    for gap in gaps:
        now = send(budget, now + gap)
        sent.append(now)

    for first, later in zip(sent, sent[requests_per_minute:], strict=False):
        assert later - first > 60


@given(requests_per_minute=st.integers(1, 5000), reserve=st.integers(0, 10_000))
def test_background_calls_leave_a_reserve_to_urgent_ones(requests_per_minute: int, reserve: int):
    budget = Budget(requests_per_minute)
    taken = burst(budget, 0.0, reserve=reserve)

    assert 1 <= taken <= budget.burst
    assert burst(budget, 0.0) == budget.burst - taken >= min(reserve, budget.burst - 1)


def test_an_idle_account_may_send_a_quarter_of_the_minute_at_once():
    assert burst(Budget(120), 5.0) == 30


def test_after_a_burst_requests_go_out_evenly():
    budget = Budget(120)
    burst(budget, 0.0)

    sent = [send(budget, 0.0) for _ in range(3)]

    assert sent == pytest.approx([61 / 91, 2 * 61 / 91, 3 * 61 / 91])
    assert budget.sustained_per_minute == pytest.approx(89.5, abs=0.1)


@pytest.mark.parametrize(
    ("requests_per_minute", "second"),
    [
        (1, 61.0),  # one a minute is one a minute
        (2, 30.5),
        (3, 61 / 3),
    ],
)
def test_a_tiny_budget_still_moves(requests_per_minute: int, second: float):
    budget = Budget(requests_per_minute)

    assert send(budget, 0.0) == 0.0
    assert send(budget, 0.0) == pytest.approx(second)


def test_a_retry_after_silences_everybody_and_is_named_as_the_cause():
    budget = Budget(120)
    budget.hold_off(100.0, 20.0)

    assert budget.take(105.0) == Wait(15.0, "retry_after")
    assert budget.take(120.0) is None


def test_a_shorter_retry_after_does_not_cut_a_longer_one():
    budget = Budget(120)
    budget.hold_off(100.0, 20.0)
    budget.hold_off(100.0, 1.0)

    assert budget.take(105.0) == Wait(15.0, "retry_after")


def test_waiting_for_the_budget_names_the_budget():
    budget = Budget(4)
    budget.take(0.0)

    wait = budget.take(0.0)

    assert wait is not None
    assert wait.cause == "budget"


def test_a_wait_is_never_too_short_to_move_a_clock():
    budget = Budget(1)
    budget.take(1e9)

    wait = budget.take(1e9 + 61 - 1e-5)

    assert wait is not None
    assert wait.seconds >= 0.001
