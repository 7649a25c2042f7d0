"""A run past its limit, from the first warning to the end that the API reports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from exporter.core.limits.rules import Mode

from .rig import Rig, limit

ASKED = ["OVER_LIMIT", "CANCEL:requested"]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_a_run_is_warned_about_asked_and_confirmed(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(age="19m")
    rig.poll(2)
    assert rig.stages(run) == []
    rig.poll(2)
    assert rig.stages(run) == ["OVER_LIMIT"]
    rig.poll(18)
    assert rig.patches() == []
    rig.poll(2)
    assert rig.patches() == [(run, "RUNNING", False)]
    assert rig.stages(run) == ASKED
    rig.poll(2)
    assert rig.status(run) == "CANCELLED"
    assert rig.stages(run) == [*ASKED, "CANCEL:cancelled"]
    assert rig.ours == {run}
    assert rig.fact(f"{run}:CANCEL:cancelled", "cancel") == (
        'cancelled by limit "prod nightly" after 30 min 40 s; limit 30 min'
    )
    assert (rig.counts("over"), rig.counts("requests"), rig.counts("outcomes")) == (1, (0, 1, 0), (1, 0, 0, 0))


def test_the_request_goes_out_within_two_polls_of_the_limit(rigs: Callable[..., Rig]):
    rig = rigs(limit(warn_after=None))
    run = rig.run(age="29m59s")  # the worst case: a poll has just ended when the run passes its limit
    rig.poll(2)
    assert rig.patches() == []
    rig.cycle()
    assert rig.patches() == [(run, "RUNNING", False)]


def test_without_warn_after_the_run_is_told_of_at_cancel_after(rigs: Callable[..., Rig]):
    rig = rigs(limit(warn_after=None))
    run = rig.run(age="30m")
    rig.poll()
    assert rig.stages(run) == ["OVER_LIMIT"]


def test_mode_observe_tells_what_it_would_have_asked_once_and_asks_nobody(rigs: Callable[..., Rig]):
    rig = rigs(limit(mode=Mode.OBSERVE), max_per_hour=1)
    runs = [rig.run(age="1h"), rig.run(age="2h")]
    rig.poll(5)
    for run in runs:
        assert rig.stages(run) == ["OVER_LIMIT", "CANCEL:would_cancel"]
    assert rig.patches() == []
    assert rig.counts("requests") == (2, 0, 0)
    assert not rig.canceller.limits.breaker.is_open, "observing costs the breaker nothing"


def test_mode_warn_warns_and_nothing_more(rigs: Callable[..., Rig]):
    rig = rigs(limit(mode=Mode.WARN))
    run = rig.run(age="10h")
    rig.poll(5)
    assert rig.stages(run) == ["OVER_LIMIT"]
    assert rig.patches() == []
    assert rig.counts("requests") == (0, 0, 0)


def test_a_run_that_is_over_its_limit_at_the_first_start_is_told(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(age="25m")
    rig.poll()
    assert rig.stages(run) == ["OVER_LIMIT"]


def test_over_limit_is_told_once_whatever_becomes_of_the_config_and_the_process(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(age="21m")
    rig.poll()
    rig.restart()
    rig.rules = (limit(name="another", warn_after=minutes(5)),)
    rig.told.clear()
    rig.poll(3)
    assert rig.stages(run) == []
    assert rig.counts("over") == 1


MATCHING = [
    ("another environment", {"environment": "test"}, {}),
    ("a pipeline that the limit is not about", {"pipeline": "finance/hourly.orch.yaml"}, {"pipelines": ("nightly-*",)}),
    ("started by hand in Designer", {"trigger": "DESIGNER"}, {}),
    ("started by something new", {"trigger": "CAT"}, {}),
    ("another project", {}, {"projects": ("Sales",)}),
]


@pytest.mark.parametrize(("why", "run", "scope"), MATCHING, ids=[row[0] for row in MATCHING])
def test_a_run_that_no_limit_is_about_is_left_alone(rigs: Callable[..., Rig], why, run, scope):
    matchers = {"environments": ("prod",), **scope}
    rule = limit()
    rig = rigs(limit(scope=type(rule.scope)(**matchers)))
    started = rig.run(age="10h", **run)
    rig.poll(3)
    assert rig.stages(started) == []
    assert rig.patches() == []


def test_the_first_limit_that_matches_counts_also_where_it_does_less(rigs: Callable[..., Rig]):
    rig = rigs(limit(name="gentle", mode=Mode.WARN), limit(name="harsh"))
    run = rig.run()
    rig.poll(3)
    assert rig.stages(run) == ["OVER_LIMIT"]
    assert rig.patches() == []


# After the request


def test_a_run_that_ends_by_itself_during_the_wait_is_not_called_cancelled(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(cancel="finishes", duration="61m", outcome="FAILED")
    rig.poll(2)
    assert rig.stages(run) == ASKED
    rig.poll(3)
    assert rig.status(run) == "FAILED"
    assert rig.stages(run) == [*ASKED, "CANCEL:ended_by_itself"]
    assert rig.fact(f"{run}:CANCEL:ended_by_itself", "cancel").startswith("ended by itself as FAILED after 1 h;")
    assert rig.ours == set()
    assert rig.counts("outcomes") == (0, 1, 0, 0)


def test_a_run_that_ignores_the_request_is_forced_after_force_after(rigs: Callable[..., Rig]):
    rig = rigs(limit(force_after=minutes(5)))
    run = rig.run(cancel="ignores")
    rig.poll(2)
    asked_at = rig.clock.at
    while not [patch for patch in rig.patches() if patch[2]]:
        rig.poll()
    assert minutes(5) <= rig.clock.at - asked_at <= minutes(5) + 2 * rig.interval
    rig.poll(2)
    assert rig.patches() == [(run, "RUNNING", False), (run, "RUNNING", True)]
    assert rig.stages(run) == [*ASKED, "CANCEL:forced", "CANCEL:cancelled"]
    assert rig.counts("requests") == (0, 1, 1)
    assert rig.ours == {run}


def test_force_after_counts_from_when_the_polite_request_was_there(rigs: Callable[..., Rig]):
    rig = rigs(limit(force_after=minutes(5)))
    rig.run(cancel="ignores")
    rig.at["claimed"] = lambda: rig.clock.move(minutes=2)  # between writing it down and sending it
    rig.poll(20)
    log = [entry for entry in rig.control("GET", "log")["requests"] if entry["method"] == "PATCH"]
    polite_at, forced_at = [datetime.fromisoformat(entry["at"]) for entry in log]
    assert minutes(5) <= forced_at - polite_at <= minutes(5) + 2 * rig.interval


def test_a_run_that_hangs_in_cancelling_is_forced_too(rigs: Callable[..., Rig]):
    rig = rigs(limit(force_after=minutes(5)))
    run = rig.run(cancel="deaf")
    rig.poll(16)
    assert rig.patches() == [(run, "RUNNING", False), (run, "CANCELLING", True)]
    assert rig.stages(run) == [*ASKED, "CANCEL:forced", "CANCEL:cancelled"]


def test_without_force_after_nobody_is_forced_and_it_is_called_stuck_once(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(cancel="deaf")
    rig.poll(2)
    rig.poll(29)
    assert rig.stages(run) == ASKED, "not before stuck_after"
    rig.poll(20)
    assert rig.patches() == [(run, "RUNNING", False)]
    assert rig.stages(run) == [*ASKED, "CANCEL:stuck"]
    assert rig.counts("outcomes") == (0, 0, 0, 1)


def test_what_even_force_does_not_end_is_stuck_after_the_last_request(rigs: Callable[..., Rig]):
    rig = rigs(limit(force_after=minutes(5)))
    run = rig.run(cancel="immortal")
    rig.poll(2 + 10 + 29)
    assert rig.stages(run) == [*ASKED, "CANCEL:forced"]
    rig.poll(40)
    assert rig.patches() == [(run, "RUNNING", False), (run, "CANCELLING", True)]
    assert rig.stages(run) == [*ASKED, "CANCEL:forced", "CANCEL:stuck"]


def test_a_force_that_is_still_to_come_is_waited_for_before_a_run_is_called_stuck(rigs: Callable[..., Rig]):
    rig = rigs(limit(force_after=minutes(20), stuck_after=minutes(15)))
    run = rig.run(cancel="deaf")
    rig.poll(2 + 43)
    assert rig.stages(run) == [*ASKED, "CANCEL:forced", "CANCEL:cancelled"]


def test_a_limit_that_is_given_more_patience_is_waited_for(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(cancel="deaf")
    rig.poll(3)
    rig.rules = (limit(stuck_after=minutes(45)),)
    rig.poll(80)
    assert rig.stages(run) == ASKED
    rig.poll(20)
    assert rig.stages(run) == [*ASKED, "CANCEL:stuck"]


@pytest.mark.parametrize("rules", [(), (limit(name="another", stuck_after=minutes(1)),)], ids=["none", "another"])
def test_without_its_limit_a_run_that_was_asked_has_the_patience_of_that_time(rigs: Callable[..., Rig], rules):
    rig = rigs()
    run = rig.run(cancel="deaf")
    rig.poll(3)
    rig.rules = rules
    rig.poll(20)
    assert rig.stages(run) == ASKED
    rig.poll(20)
    assert rig.stages(run) == [*ASKED, "CANCEL:stuck"]


def test_a_stuck_run_that_is_cancelled_at_last_is_told_as_such(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(cancel="deaf")
    rig.poll(40)
    rig.end(run, "CANCELLED")
    rig.poll()
    assert rig.stages(run) == [*ASKED, "CANCEL:stuck", "CANCEL:cancelled"]
    assert rig.ours == {run}


def test_a_run_that_the_api_loses_is_called_stuck_not_cancelled(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run(cancel="deaf")
    rig.poll(2)
    rig.control("DELETE", f"runs/{run}")
    rig.poll(40)
    assert rig.stages(run) == [*ASKED, "CANCEL:stuck"]


def test_a_run_that_others_cancel_is_not_ours(rigs: Callable[..., Rig]):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.end(run, "CANCELLED")
    rig.poll(2)
    assert rig.stages(run) == ["OVER_LIMIT"]
    assert rig.ours == set()
    assert rig.patches() == []


def test_counters_and_stages_come_back_after_a_restart(rigs: Callable[..., Rig]):
    rig = rigs(limit(force_after=minutes(5)))
    run = rig.run(cancel="deaf")
    rig.poll(3)
    before = rig.canceller.limits
    rig.restart()
    after = rig.canceller.limits
    assert after.counts == before.counts
    assert after.runs == before.runs
    assert after.breaker == before.breaker
    rig.poll(14)
    assert rig.patches() == [(run, "RUNNING", False), (run, "CANCELLING", True)]
