"""Every rail between a run over its limit and a PATCH; the simulator's log says what was asked and was true then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from exporter.core.globs import Scope
from exporter.core.limits.rules import LimitRule, Mode
from exporter.core.limits.runs import Reason, Stage
from exporter.store import cancellations

from .rig import NIGHTLY, Killed, Rig, limit

Rigs = Callable[..., Rig]
OVER, REQUESTED, BY_ITSELF, REFUSED = "OVER_LIMIT", "CANCEL:requested", "CANCEL:ended_by_itself", "CANCEL:refused"


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


# Two fresh reads in a row


def test_one_read_over_the_limit_is_not_enough(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    assert rig.patches() == []
    assert rig.canceller.limits.held == {run: Reason.READ_ONCE}
    rig.poll()
    assert len(rig.patches()) == 1


def test_both_reads_must_show_it_over_the_limit(rigs: Rigs):
    rig = rigs(limit(warn_after=None))
    rig.run(age="29m45s")
    rig.poll(2)
    assert rig.patches() == [], "the first of the two showed it within its limit"
    rig.poll()
    assert len(rig.patches()) == 1


def test_two_reads_with_a_gap_between_them_are_not_in_a_row(rigs: Rigs):
    rig = rigs()
    rig.run()
    rig.poll()
    rig.clock.move(minutes=5)
    rig.poll()
    assert rig.patches() == []
    rig.poll()
    assert len(rig.patches()) == 1


def test_a_new_process_reads_twice_again(rigs: Rigs):
    rig = rigs()
    rig.run()
    rig.poll()
    rig.restart()
    rig.poll()
    assert rig.patches() == []
    rig.poll()
    assert len(rig.patches()) == 1


def test_a_run_that_somebody_else_has_asked_to_stop_is_left_to_them(rigs: Rigs):
    rig = rigs(limit(force_after=minutes(1)))
    run = rig.run(cancel="immortal")
    rig.poll()
    project = rig.state.unfinished[run].run.pipeline.project_id
    rig.client.cancel(project, run, force=False)
    rig.poll(10)
    assert len(rig.patches()) == 1
    assert rig.stages(run) == [OVER]


# The last look


def test_a_run_that_ends_right_after_the_list_is_not_asked(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["decided"] = lambda: rig.end(run)
    rig.poll(2)
    assert rig.patches() == []
    assert rig.stages(run) == [OVER]
    assert rig.counts("requests") == (0, 0, 0)
    assert rig.counts("outcomes") == (0, 0, 0, 0)


def test_a_list_that_shows_the_account_of_an_hour_ago_cancels_nobody(rigs: Rigs):
    rig = rigs()
    rig.fault("stale", seconds=3600)
    run = rig.run(age="3h")
    rig.end(run)
    rig.poll(4)
    assert rig.patches() == []
    assert [stage for stage in rig.stages(run) if stage.startswith("CANCEL")] == []


DIALECTS = [(409, [BY_ITSELF]), (404, [BY_ITSELF]), (400, [BY_ITSELF]), (200, [REQUESTED, BY_ITSELF])]


@pytest.mark.parametrize(("answer", "told"), DIALECTS, ids=[str(row[0]) for row in DIALECTS])
@pytest.mark.parametrize("status", ["SUCCESS", "FAILED"])
def test_a_run_that_ends_between_the_look_and_the_request_has_ended_by_itself(rigs: Rigs, answer, told, status):
    rig = rigs()
    rig.control("POST", "answers", cancel_finished=answer)
    run = rig.run()
    rig.poll()
    rig.at["looked"] = lambda: rig.end(run, status)
    rig.poll(3)
    assert rig.patches() == [(run, status, False)]
    assert rig.stages(run) == [OVER, *told]
    assert rig.counts("outcomes") == (0, 1, 0, 0)
    assert rig.ours == set()


def test_a_run_that_others_cancel_between_the_look_and_our_request_is_not_called_ours(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["looked"] = lambda: rig.end(run, "CANCELLED")
    rig.poll(3)
    assert rig.stages(run) == [OVER, BY_ITSELF]
    assert rig.ours == set()


def test_a_run_that_others_ask_to_stop_right_after_the_list_is_left_to_them(rigs: Rigs):
    rig = rigs(limit(force_after=minutes(1)))
    run = rig.run(cancel="immortal")
    rig.poll()
    project = rig.state.unfinished[run].run.pipeline.project_id
    rig.at["decided"] = lambda: rig.client.cancel(project, run, force=False)
    rig.poll(6)
    assert len(rig.patches()) == 1, "theirs"
    assert rig.stages(run) == [OVER]


def test_a_run_that_cannot_be_read_is_not_asked_before_it_can(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.fault("status", path=f"*/{run}", method="GET", status=503)
    rig.poll(3)
    assert rig.patches() == []
    rig.healed()
    rig.poll()
    assert rig.patches() == [(run, "RUNNING", False)]


@pytest.mark.parametrize("point", ["decided", "looked", "claimed"])
def test_a_process_that_does_not_lead_any_more_asks_nobody(rigs: Rigs, point: str):
    """Its lease has ended, or the config has changed: at the next poll, whoever leads decides anew."""
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at[point] = lambda: setattr(rig, "on_duty", False)
    rig.poll(3)
    assert rig.patches() == []
    rig.on_duty = True
    rig.poll(2)
    assert rig.patches() == [(run, "RUNNING", False)]


def test_a_run_that_says_less_of_itself_than_the_list_said_is_not_asked(rigs: Rigs):
    """Nobody can tell that it is the run that was meant."""
    rig = rigs()
    run = rig.run()
    rig.poll()
    real = rig.client.get_run
    rig.client.get_run = lambda project_id, run_id: replace(real(project_id, run_id), started_at=None)  # type: ignore[method-assign]
    rig.poll(3)
    assert rig.patches() == []
    assert rig.stages(run) == [OVER, REFUSED]


# The rule of that moment

RULES: list[tuple[str, tuple[LimitRule, ...]]] = [
    ("raised", (limit(cancel_after=timedelta(hours=5)),)),
    ("removed", (limit(scope=Scope(environments=("test",))),)),
    ("no longer in mode cancel", (limit(mode=Mode.OBSERVE),)),
    ("behind a gentler one", (limit(name="gentle", mode=Mode.WARN), limit())),
    ("another one that would cancel too", (limit(name="other"),)),
]


@pytest.mark.parametrize(("why", "rules"), RULES, ids=[row[0] for row in RULES])
def test_a_limit_that_changes_between_decision_and_request_asks_nobody(rigs: Rigs, why, rules):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["decided"] = lambda: setattr(rig, "rules", rules)
    rig.cycle()
    assert rig.patches() == []
    assert rig.canceller.limits.runs[run].stage is Stage.OVER
    assert rig.canceller.limits.breaker.asked_at == (), "what was not sent costs the breaker nothing"


def test_a_limit_that_is_lowered_again_is_decided_anew(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    before = rig.rules
    rig.at["decided"] = lambda: setattr(rig, "rules", (limit(cancel_after=timedelta(hours=5)),))
    rig.poll(3)
    rig.rules = before
    rig.poll()
    assert rig.patches() == [(run, "RUNNING", False)]


@pytest.mark.parametrize(("why", "rules"), RULES, ids=[row[0] for row in RULES])
def test_a_limit_that_changes_during_the_polite_wait_forces_nobody(rigs: Rigs, why, rules):
    rig = rigs(limit(force_after=minutes(5)))
    run = rig.run(cancel="deaf")
    rig.poll(2)
    rig.rules = tuple(replace(rule, force_after=minutes(5) if rule.cancel_after else None) for rule in rules)
    rig.poll(40)
    assert rig.patches() == [(run, "RUNNING", False)]
    assert rig.stages(run)[-1] == "CANCEL:stuck"


def test_a_limit_that_changes_right_before_the_force_forces_nobody(rigs: Rigs):
    rig = rigs(limit(force_after=minutes(1)))
    rig.run(cancel="deaf")
    rig.poll(2)
    for _ in range(4):
        rig.at["decided"] = lambda: setattr(rig, "rules", (limit(force_after=None),))
        rig.poll()
        rig.rules = (limit(force_after=minutes(1)),)
    assert [by_force for _, _, by_force in rig.patches()] == [False]


# Clocks


@pytest.mark.parametrize("hours", [3, -3])
def test_with_our_clock_hours_off_nobody_is_asked_and_people_are_told_in_time(rigs: Rigs, hours):
    rig = rigs()
    rig.our_clock_is_off = timedelta(hours=hours)
    early, late = rig.run(age="10m"), rig.run(age="2h")
    rig.poll(4)
    assert rig.patches() == []
    assert rig.stages(late) == [OVER]
    assert rig.stages(early) == [], "ages are told by the API's clock, not by ours"
    assert rig.canceller.limits.held[late] is Reason.CLOCKS_DIFFER
    rig.our_clock_is_off = timedelta(0)
    rig.poll(2)
    assert rig.patches() == [(late, "RUNNING", False)]


def test_with_our_clock_hours_off_nothing_would_have_been_asked_either(rigs: Rigs):
    rig = rigs(limit(mode=Mode.OBSERVE))
    rig.our_clock_is_off = timedelta(hours=3)
    run = rig.run()
    rig.poll(4)
    assert rig.stages(run) == [OVER]
    assert rig.counts("requests") == (0, 0, 0)


def test_a_clock_that_goes_wrong_between_decision_and_request_asks_nobody(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["decided"] = lambda: rig.control("POST", "clock", offset="5m")
    rig.cycle()
    assert rig.patches() == []
    assert rig.canceller.limits.held == {run: Reason.CLOCKS_DIFFER}


@pytest.mark.parametrize("seconds", [50, -50])
def test_a_clock_that_is_a_little_off_neither_hastens_nor_delays(rigs: Rigs, seconds):
    rig = rigs(limit(warn_after=None))
    rig.our_clock_is_off = timedelta(seconds=seconds)
    rig.run(age="29m59s")
    rig.poll(2)
    assert rig.patches() == []
    rig.poll()
    assert len(rig.patches()) == 1


def test_a_run_without_a_start_is_left_alone(rigs: Rigs):
    rig = rigs()
    run = rig.run(undated=True)
    rig.poll(5)
    assert rig.patches() == []
    assert rig.stages(run) == []


# Pauses of our own process


def test_a_process_that_was_stopped_after_its_decision_polls_first(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["decided"] = lambda: rig.clock.move(hours=5)
    rig.cycle()
    assert rig.patches() == []
    rig.cycle()
    assert rig.patches() == [(run, "RUNNING", False)]


def test_a_machine_that_slept_after_the_decision_polls_first(rigs: Rigs):
    """Its monotonic clock stood still meanwhile."""
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["decided"] = lambda: rig.clock.set(minutes=1)
    rig.cycle()
    assert rig.patches() == []
    rig.clock.move(seconds=1)
    rig.cycle()
    assert rig.patches() == [(run, "RUNNING", False)]


@pytest.mark.parametrize("point", ["looked", "claimed"])
def test_a_process_that_was_stopped_after_its_last_look_looks_again(rigs: Rigs, point):
    rig = rigs()
    run = rig.run()
    rig.poll()

    def stopped() -> None:
        rig.clock.move(minutes=20)
        rig.end(run)

    rig.at[point] = stopped
    rig.poll(3)
    assert rig.patches() == []
    assert rig.stages(run) == [OVER]


def test_a_process_that_is_stopped_again_and_again_never_asks(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()

    def stopped() -> None:
        rig.clock.move(seconds=20)
        rig.at["looked"] = stopped

    stopped()
    rig.poll()
    assert rig.patches() == []
    assert rig.canceller.limits.runs[run].stage is Stage.INTENT
    del rig.at["looked"]
    rig.poll(2)
    assert rig.patches() == [(run, "RUNNING", False)]


# The breaker


def many(rig: Rig, count: int) -> list[str]:
    return [rig.run(age=f"{61 + number}m") for number in range(count)]


def test_a_wildcard_that_matches_500_runs_costs_max_per_hour_of_them_then_there_is_silence(rigs: Rigs):
    rig = rigs(limit(warn_after=None), max_per_hour=5)
    runs = many(rig, 500)
    rig.poll(5)
    assert [run for run, _, _ in rig.patches()] == runs[:-6:-1], "the oldest first"
    breaker = [event_id for event_id in rig.told if ":breaker:" in event_id]
    assert len(breaker) == 1
    assert breaker[0].startswith("exporter:CANCEL:breaker:2026-03-01T12:0")
    told = list(rig.told)
    rig.clock.move(hours=2)
    rig.poll(5)
    assert len(rig.patches()) == 5, "an hour later it is still open"
    assert [event_id for event_id in rig.told if event_id not in told] == []
    assert rig.counts("over") == 500


def test_an_open_breaker_survives_a_restart_until_a_person_closes_it(rigs_on_both: Rigs):
    rig = rigs_on_both(max_per_hour=2)
    many(rig, 5)
    rig.poll(3)
    rig.restart()
    rig.poll(3)
    assert len(rig.patches()) == 2
    with rig.database.transaction() as connection:
        assert cancellations.resume(connection) is not None
    with rig.database.transaction() as connection:
        assert cancellations.resume(connection) is None
    rig.poll(2)
    assert len(rig.patches()) == 4
    assert rig.canceller.limits.breaker.is_open, "and one too many opens it again"


def test_so_many_an_hour_go_on_hour_after_hour(rigs: Rigs):
    rig = rigs(max_per_hour=2)
    for number in range(3):
        many(rig, 2)
        rig.poll(2)
        assert len(rig.patches()) == 2 * (number + 1)
        rig.clock.move(minutes=61)
        rig.poll()
    assert not rig.canceller.limits.breaker.is_open


def test_requests_of_the_last_hour_count_after_a_restart(rigs: Rigs):
    rig = rigs(max_per_hour=2)
    many(rig, 2)
    rig.poll(4)
    rig.restart()
    many(rig, 1)
    rig.poll(3)
    assert len(rig.patches()) == 2
    assert rig.canceller.limits.breaker.is_open


def test_an_open_breaker_lets_what_has_begun_finish(rigs: Rigs):
    rig = rigs(limit(force_after=minutes(2)), max_per_hour=1)
    old, _ = rig.run(age="3h", cancel="deaf"), rig.run(age="1h")
    rig.poll(3)
    assert rig.canceller.limits.breaker.is_open
    rig.poll(6)
    assert rig.patches() == [(old, "RUNNING", False), (old, "CANCELLING", True)]
    assert rig.stages(old) == [OVER, REQUESTED, "CANCEL:forced", "CANCEL:cancelled"]


def test_requests_that_could_not_be_sent_for_an_hour_still_take_room(rigs: Rigs):
    rig = rigs(max_per_hour=2)
    many(rig, 2)
    rig.poll()
    rig.fault("status", path="*/pipeline-executions/*", method="GET", status=503)
    rig.poll(125)
    assert rig.patches() == []
    many(rig, 2)
    rig.poll(2)
    rig.healed()
    rig.poll(3)
    assert len(rig.patches()) == 2
    assert rig.canceller.limits.breaker.is_open


def test_a_person_closing_the_breaker_is_not_undone_by_what_the_service_writes_next(rigs: Rigs):
    rig = rigs(max_per_hour=1)
    many(rig, 2)
    rig.poll()

    def resumed() -> None:
        with rig.database.transaction() as connection:
            assert cancellations.resume(connection) is not None
        rig.rules = ()  # so that the one that was decided is withdrawn, which costs the breaker nothing

    rig.at["decided"] = resumed
    rig.cycle()
    assert rig.patches() == []
    with rig.database.reading() as connection:
        assert not cancellations.read_breaker(connection).is_open


# Once a run, one process


def test_two_processes_never_both_ask(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()

    def other_process_claims() -> None:
        with rig.database.transaction() as connection:
            connection.execute(text("UPDATE cancel_request SET version = version + 1, answer = 'sent', tries = 1"))

    rig.at["claiming"] = other_process_claims
    rig.cycle()
    assert rig.patches() == []
    assert rig.canceller.limits.runs[run].polite.tries == 1, "what the other one wrote is what we know now"


def test_a_record_that_cannot_be_written_lets_nobody_be_asked(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()

    def full() -> None:
        raise cancellations.RequestClash("the disk is full")

    rig.at["claiming"] = full
    rig.cycle()
    assert rig.patches() == []
    rig.clock.move(seconds=30)
    rig.poll()
    assert rig.patches() == [(run, "RUNNING", False)]


KILLS = [
    ("decided", "obeys", 1, "before the look"),
    ("looked", "obeys", 1, "before the claim"),
    ("claimed", "obeys", 1, "after the claim, before the request"),
    ("sent", "obeys", 1, "the request was answered, not yet recorded"),
    ("recorded", "obeys", 1, "after everything"),
    ("claimed", "ignores", 1, "the same, with a run that goes on"),
    ("sent", "ignores", 2, "heard once, and still RUNNING: once more"),
    ("recorded", "ignores", 1, "recorded as accepted: never again"),
]


@pytest.mark.parametrize(("point", "manner", "requests", "why"), KILLS, ids=[f"{row[0]}-{row[1]}" for row in KILLS])
def test_a_killed_process_goes_on_from_what_is_written(rigs_on_both: Rigs, point, manner, requests, why):
    rig = rigs_on_both()
    run = rig.run(cancel=manner)
    rig.poll()

    def kill() -> None:
        raise Killed

    rig.at[point] = kill
    with pytest.raises(Killed):
        rig.cycle()
    rig.restart()
    rig.clock.move(seconds=1)
    rig.poll(4)
    assert rig.patches() == [(run, "RUNNING", False)] * requests
    assert rig.counts("requests") == (0, 1, 0)
    if manner == "obeys":
        rig.poll(2)
        assert rig.status(run) == "CANCELLED"
        assert rig.stages(run)[-1] == "CANCEL:cancelled"
        assert rig.ours == {run}
        assert rig.counts("outcomes") == (1, 0, 0, 0)


def test_a_process_killed_again_and_again_sends_a_request_twice_at_most(rigs_on_both: Rigs):
    rig = rigs_on_both()
    run = rig.run(cancel="ignores")
    rig.poll()

    def kill() -> None:
        raise Killed

    for _ in range(5):
        rig.at["sent"] = kill
        try:
            rig.poll(2)
        except Killed:
            rig.restart()
            rig.clock.move(seconds=10)
    rig.at.clear()
    rig.poll(40)
    assert rig.patches() == [(run, "RUNNING", False)] * 2
    assert rig.stages(run) == [OVER, REQUESTED, "CANCEL:stuck"]
    assert "has not confirmed" in rig.fact(f"{run}:CANCEL:requested", "cancel")


@pytest.mark.parametrize("point", ["claimed", "sent"])
def test_a_process_killed_while_it_forces_forces_once(rigs_on_both: Rigs, point):
    rig = rigs_on_both(limit(force_after=minutes(1)))
    run = rig.run(cancel="immortal")
    rig.poll(3)

    def kill() -> None:
        raise Killed

    rig.at[point] = kill
    with pytest.raises(Killed):
        rig.poll(5)
    rig.restart()
    rig.poll(50)
    assert [patch for patch in rig.patches() if patch[2]] == [(run, "CANCELLING", True)] * (point == "sent")
    assert rig.stages(run) == [OVER, REQUESTED, "CANCEL:forced", "CANCEL:stuck"]


# What the API answers


def calls(rig: Rig, run: str) -> list[str]:
    """Which calls there were about the run itself, in order."""
    requests = rig.control("GET", "log")["requests"]
    return [entry["method"] for entry in requests if entry["path"].endswith(run)]


def test_after_a_5xx_the_run_is_looked_at_and_asked_once_more(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.fault("status", method="PATCH", status=503, count=1)
    rig.poll(3)
    assert calls(rig, run) == ["GET", "PATCH", "GET", "PATCH"]
    rig.poll(2)
    assert rig.stages(run) == [OVER, REQUESTED, "CANCEL:cancelled"]
    assert rig.counts("requests") == (0, 1, 0)


def test_a_request_that_was_heard_and_not_answered_is_not_repeated(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.fault("patch_applied", status=502, count=1)
    rig.poll(5)
    assert rig.patches() == [(run, "RUNNING", False)]
    assert rig.stages(run)[-1] == "CANCEL:cancelled"
    assert rig.ours == {run}


def test_a_request_that_times_out_after_it_was_heard_is_not_repeated(rigs: Rigs):
    rig = rigs()
    rig.request_timeout = 0.3
    rig.restart()
    run = rig.run(cancel="deaf")
    rig.fault("patch_applied", hang=True, count=1)
    rig.poll(5)
    assert rig.patches() == [(run, "RUNNING", False)]
    assert rig.stages(run) == [OVER, REQUESTED]


def test_an_api_that_fails_for_ever_is_asked_twice_then_forced_then_the_run_is_stuck(rigs: Rigs):
    rig = rigs(limit(force_after=minutes(5)))
    run = rig.run()
    rig.fault("status", method="PATCH", status=503)
    rig.poll(60)
    assert rig.patches() == [(run, "?", False)] * 4, "refused before the account saw them"
    assert rig.stages(run) == [OVER, REQUESTED, "CANCEL:forced", "CANCEL:stuck"]
    assert rig.counts("outcomes") == (0, 0, 0, 1)


REFUSALS = [400, 401, 403, 404, 409]


@pytest.mark.parametrize("status", REFUSALS)
def test_a_request_that_is_refused_is_told_once_and_not_repeated(rigs: Rigs, status):
    rig = rigs(limit(force_after=minutes(1)))
    run = rig.run()
    rig.fault("status", method="PATCH", status=status)
    rig.poll(20)
    sent = 2 if status == 401 else 1  # a token that has died is renewed once, and this one call goes out again
    assert len(rig.patches()) == sent
    assert rig.stages(run) == [OVER, REFUSED]
    assert rig.counts("outcomes") == (0, 0, 1, 0)
    rig.end(run)
    rig.poll()
    assert rig.stages(run) == [OVER, REFUSED]


def test_a_project_that_lets_us_read_no_run_is_told_once(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.control("POST", "answers", list_forbidden_projects=True)
    rig.control("POST", "changes", project="Finance", forbidden=True)
    rig.poll(6)
    assert rig.patches() == []
    assert rig.stages(run) == [OVER, REFUSED]


def test_a_budget_that_is_used_up_delays_the_request(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.fault("rate_limited", method="PATCH", retry_after=5, count=1)
    rig.poll(2)
    assert rig.stages(run) == [OVER]
    rig.poll(3)
    assert rig.stages(run) == [OVER, REQUESTED, "CANCEL:cancelled"]
    assert rig.counts("requests") == (0, 1, 0)


def test_a_run_that_vanishes_before_the_request_is_not_asked(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["decided"] = lambda: rig.control("DELETE", f"runs/{run}")
    rig.poll(5)
    assert rig.patches() == []
    assert rig.stages(run) == [OVER]


def test_nothing_is_asked_of_a_run_that_left_the_scope(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    rig.at["decided"] = lambda: rig.clock.move(hours=1)
    rig.cycle()
    unfinished: dict[str, Any] = {}
    rig.state = replace(rig.state, unfinished=unfinished)
    rig.end(run)
    rig.poll(3)
    assert rig.patches() == []
    assert run not in rig.canceller.limits.runs


def test_the_rig_finds_runs_by_the_name_it_gave_them(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.poll()
    assert rig.state.unfinished[run].run.pipeline.pipeline_name == NIGHTLY
