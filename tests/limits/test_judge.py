"""What the last look at a run, and two reads of it, allow: each reason by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.core.limits import answers
from exporter.core.limits.decide import Policy, decide
from exporter.core.limits.draft import Draft
from exporter.core.limits.judge import TwoReads, clock_trouble, last_look
from exporter.core.limits.pursue import miss, pursue
from exporter.core.limits.rules import Coverage, LimitRule
from exporter.core.limits.runs import Answer, FreshRead, LimitedRun, Reason, RequestMode, Stage
from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.core.state import Observation, Origin, State

from .rig import limit
from .test_answers import KEY, MOMENT, NOON, RUN, asked, facts

SECOND = timedelta(seconds=1)


def look(run: Run = RUN, limited: LimitedRun | None = None, *, skew: float | None = 0.0, **changes) -> Reason:
    limited = limited or asked(tries=0)[1]
    coverage = Coverage((limit(**changes),), {KEY.project_id: "Finance"})
    request = limited.due
    assert request is not None
    return last_look(
        limited, replace(request, rule=limit(**changes)), run, coverage=coverage, server_now=NOON, skew_seconds=skew
    )


def reads(*, cancelling: bool = False) -> TwoReads:
    shown = frozenset({"r1"})
    this, before = (FreshRead(NOON - ago, shown, frozenset() if cancelling else shown) for ago in (0 * SECOND, SECOND))
    return TwoReads(this=this, before=before, stale_after=timedelta(minutes=5), clocks=None)


def told_to_stop(**changes) -> LimitedRun:
    """A run that has taken the polite request, ten minutes ago."""
    limited = asked()[1]
    assert limited.polite is not None
    at = NOON - timedelta(minutes=10)
    polite = replace(limited.polite, sent_at=at, first_sent_at=at, answer=Answer.ACCEPTED)
    return replace(limited, stage=Stage.REQUESTED, polite=polite, **changes)


def followed(limited: LimitedRun, rule: LimitRule | None, run: Run = RUN) -> LimitedRun:
    """What a poll makes of it."""
    draft = Draft(replace(asked()[0], runs={"r1": limited}), MOMENT)
    pursue(draft, limited, run, rule, reads())
    return draft.finish().limits.runs["r1"]


def test_a_run_as_it_was_found_may_be_asked():
    assert look() is Reason.READY


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pipeline": PipelineKey("p1", "prod", "finance/other.orch.yaml")}, Reason.ANOTHER_RUN),
        ({"run_id": "r2"}, Reason.ANOTHER_RUN),
        ({"started_at": None}, Reason.ANOTHER_RUN),
        ({"started_at": RUN.started_at + SECOND}, Reason.ANOTHER_RUN),
        ({"status": Status.CANCELLING}, Reason.NOT_RUNNING),
        ({"status": Status.SUCCESS}, Reason.FINISHED),
    ],
)
def test_the_last_look_turns_down_what_is_not_that_run(changes, reason):
    assert look(replace(RUN, **changes)) is reason


def test_the_last_look_turns_down_a_start_in_the_future():
    limited = replace(asked(tries=0)[1], started_at=NOON + SECOND)
    assert look(replace(RUN, started_at=NOON + SECOND), limited) is Reason.NO_START


@pytest.mark.parametrize(
    ("skew", "reason"), [(None, Reason.NO_SERVER_CLOCK), (60.5, Reason.CLOCKS_DIFFER), (-60.5, Reason.CLOCKS_DIFFER)]
)
def test_the_last_look_trusts_no_clock_that_is_off_or_untold(skew, reason):
    assert clock_trouble(skew) is reason
    assert look(skew=skew) is reason


def test_the_last_look_goes_by_the_trigger_it_reads_and_else_by_the_one_that_is_known():
    assert look(replace(RUN, trigger=Trigger.UNKNOWN), triggers=("SCHEDULE",)) is Reason.READY
    assert look(replace(RUN, trigger=Trigger.DESIGNER), triggers=("SCHEDULE",)) is Reason.RULE_CHANGED


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (RUN, Reason.READY),
        (replace(RUN, status=Status.CANCELLING), Reason.READY),
        (replace(RUN, status=Status.SUCCESS), Reason.NOT_RUNNING),
        (replace(RUN, started_at=NOON - timedelta(minutes=29)), Reason.NOT_OVER),
        (replace(RUN, run_id="r2"), Reason.READ_ONCE),
    ],
)
def test_two_reads_show_a_run_going_on_past_its_limit(run, reason):
    assert reads(cancelling=True).show_unfinished(run, timedelta(minutes=30)) is reason


PAUSED = replace(RUN, status=Status.UNKNOWN, status_text="PAUSED")


def test_an_intent_goes_when_the_run_is_not_shown_going_on_any_more():
    polite, force = asked(tries=0)[1], asked(tries=0, mode=RequestMode.FORCE)[1]
    assert followed(polite, limit(), PAUSED).stage is Stage.OVER
    assert followed(force, limit()).stage is Stage.FORCE_INTENT
    assert followed(force, limit(), PAUSED).stage is Stage.REQUESTED


def test_force_waits_for_its_time_under_the_limit_of_now():
    forced = asked(tries=0, mode=RequestMode.FORCE)[1]
    polite = told_to_stop().polite
    assert polite is not None
    polite = replace(polite, rule=limit(force_after=timedelta(minutes=11)))
    waiting = replace(forced, polite=polite)
    assert look(limited=waiting, force_after=timedelta(minutes=11)) is Reason.NOT_OVER
    assert look(limited=waiting, force_after=timedelta(minutes=9)) is Reason.READY


def test_a_run_that_has_left_the_scope_is_closed_unless_it_was_asked():
    limited = replace(asked()[1], stage=Stage.OVER, polite=None)
    draft = Draft(replace(asked()[0], runs={"r1": limited}), MOMENT)
    miss(draft, limited, known=False)
    [closed] = draft.finish().change.runs
    assert closed.closed_at == MOMENT.server_now


def test_an_intent_that_nothing_was_sent_of_goes_when_its_limit_has_changed():
    intent = asked(tries=0)[1]
    assert followed(intent, limit()).stage is Stage.INTENT
    assert followed(intent, limit(cancel_after=timedelta(minutes=40))).stage is Stage.OVER
    assert followed(intent, None).stage is Stage.OVER


def test_a_run_is_forced_once_and_not_before_its_time():
    rule = limit(force_after=timedelta(minutes=5), stuck_after=timedelta(hours=1))
    assert followed(told_to_stop(), rule).stage is Stage.FORCE_INTENT
    assert followed(told_to_stop(), limit(force_after=timedelta(minutes=11))).stage is Stage.REQUESTED
    refused = asked(mode=RequestMode.FORCE)[1].force
    assert refused is not None
    once = told_to_stop(force=replace(refused, answer=Answer.REFUSED, sent_at=NOON - SECOND))
    assert followed(once, rule).stage is Stage.REQUESTED


def test_a_run_of_which_no_request_went_out_is_never_called_stuck():
    limited = asked(tries=0)[1]
    assert followed(replace(limited, stage=Stage.REQUESTED), limit()).stage is Stage.REQUESTED


def test_a_run_without_a_request_is_told_without_a_limit_that_was_not_asked_by():
    limited = replace(asked()[1], polite=None)
    draft = Draft(asked()[0], MOMENT)
    draft.enter(limited, Stage.ENDED_BY_ITSELF, RUN)
    assert "; limit" not in facts(draft.finish())["cancel"]


def test_an_answer_without_a_request_is_a_mistake_of_ours():
    limits, limited = asked()
    with pytest.raises(ValueError, match="run r1 has no request to send"):
        answers.doubtful(limits, replace(limited, stage=Stage.OVER), MOMENT, detail="")


@pytest.mark.parametrize("origin", [None, Origin.HISTORY])
def test_only_a_poll_is_a_fresh_read(origin):
    limits = replace(asked(tries=0)[0], last_read=FreshRead(NOON))
    observed = None if origin is None else Observation(origin=origin, server_now=NOON, runs=(RUN,))
    step = decide(
        limits,
        state=State(),
        observed=observed,
        events=(),
        coverage=Coverage(),
        policy=Policy.of(max_per_hour=5, interval=SECOND),
        moment=MOMENT,
    )
    assert step.limits.runs == limits.runs
    assert not step.change
