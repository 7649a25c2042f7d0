"""Requests that are decided and cannot be sent yet, or were sent and not answered: what becomes of them, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.core.limits.rules import Mode
from exporter.core.limits.runs import Answer, Stage

from .rig import Rig, limit

Rigs = Callable[..., Rig]
OVER, REQUESTED, FORCED, STUCK = "OVER_LIMIT", "CANCEL:requested", "CANCEL:forced", "CANCEL:stuck"
NO_READ = {"method": "GET", "path": "/dpc/v1/projects/*/pipeline-executions/*", "status": 503}


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@pytest.fixture
def waiting(rigs: Rigs) -> tuple[Rig, str]:
    """A run that ignored the polite request; the forced one is decided, and cannot be sent: the run cannot be read."""
    rig = rigs(limit(force_after=minutes(5), stuck_after=minutes(20)))
    run = rig.run(cancel="ignores")
    rig.poll(3)
    rig.fault("status", **NO_READ)
    while rig.canceller.limits.runs[run].stage is not Stage.FORCE_INTENT:
        rig.poll()
    return rig, run


def test_a_forced_request_waits_until_the_run_can_be_read_then_goes_out_once(waiting):
    rig, run = waiting
    rig.poll(3)
    assert rig.patches() == [(run, "RUNNING", False)]
    assert rig.canceller.limits.runs[run].stage is Stage.FORCE_INTENT

    rig.healed()
    rig.poll(3)

    assert rig.patches() == [(run, "RUNNING", False), (run, "RUNNING", True)]
    assert rig.stages(run) == [OVER, REQUESTED, FORCED, "CANCEL:cancelled"]


def test_a_forced_request_also_waits_for_a_run_in_cancelling(rigs: Rigs):
    rig = rigs(limit(force_after=minutes(5)))
    run = rig.run(cancel="deaf")
    rig.poll(3)
    rig.fault("status", **NO_READ)
    while rig.canceller.limits.runs[run].stage is not Stage.FORCE_INTENT:
        rig.poll()
    for _ in range(3):
        rig.poll()
        assert rig.canceller.limits.runs[run].stage is Stage.FORCE_INTENT, "it is not taken back meanwhile"

    rig.healed()
    rig.poll(2)

    assert rig.patches()[-1] == (run, "CANCELLING", True)


@pytest.mark.parametrize(
    ("why", "rule"),
    [
        ("it only observes now", limit(force_after=minutes(5), mode=Mode.OBSERVE)),
        ("the run is within it now", limit(force_after=minutes(5), cancel_after=minutes(600))),
    ],
)
def test_a_forced_request_that_waits_is_withdrawn_when_the_limit_changes(waiting, why, rule):
    rig, run = waiting
    rig.rules = (rule,)
    rig.poll()
    assert rig.canceller.limits.runs[run].stage is Stage.REQUESTED, why
    force = rig.canceller.limits.runs[run].force
    assert force is not None
    assert force.answer is Answer.WITHDRAWN

    rig.healed()
    rig.poll(3)

    assert rig.patches() == [(run, "RUNNING", False)], why


def test_a_forced_request_that_can_never_be_sent_ends_as_stuck(waiting):
    rig, run = waiting
    rig.poll(60)
    assert rig.patches() == [(run, "RUNNING", False)]
    assert rig.stages(run) == [OVER, REQUESTED, STUCK]
    assert rig.fact(f"{run}:{STUCK}", "status") == "RUNNING", "as the poll has read it"
    rig.healed()
    rig.poll(3)
    assert rig.patches() == [(run, "RUNNING", False)], "a stuck run is left alone"


def test_after_an_unclear_answer_a_run_that_stops_meanwhile_is_not_asked_again_and_it_is_ours(rigs: Rigs):
    rig = rigs()
    run = rig.run(cancel="deaf")
    rig.fault("status", method="PATCH", status=503, count=1)
    rig.poll(2)
    assert rig.canceller.limits.runs[run].stage is Stage.INTENT, "sent, and no clear answer"
    project = rig.state.unfinished[run].run.pipeline.project_id
    rig.at["looking"] = lambda: rig.client.cancel(project, run, force=False)  # as if it had been heard late

    rig.poll()

    polite = rig.canceller.limits.runs[run].polite
    assert polite is not None
    assert (polite.answer, polite.tries) == (Answer.ACCEPTED, 1)
    assert rig.stages(run) == [OVER, REQUESTED]
    assert rig.fact(f"{run}:{REQUESTED}", "status") == "CANCELLING", "as the last look has read it"
    assert run not in rig.canceller.limits.held
    assert len(rig.patches()) == 2, "ours without an answer, and the one that stands for it"


def test_after_an_unclear_answer_a_run_within_a_new_limit_is_not_asked_again(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.fault("status", method="PATCH", status=503, count=1)
    rig.poll(2)
    rig.at["looking"] = lambda: setattr(rig, "rules", (limit(cancel_after=minutes(600)),))

    rig.poll()

    polite = rig.canceller.limits.runs[run].polite
    assert polite is not None
    assert (polite.answer, polite.tries) == (Answer.SENT, 1)
    assert len(rig.patches()) == 1
    assert rig.stages(run) == [OVER, REQUESTED], "it may have been heard: people are told of it"


def test_after_an_unclear_answer_a_run_that_ends_meanwhile_is_told_by_the_poll_that_sees_its_end(rigs: Rigs):
    rig = rigs()
    run = rig.run()
    rig.fault("status", method="PATCH", status=503, count=1)
    rig.poll(2)
    rig.at["looking"] = lambda: rig.end(run)

    rig.poll()
    assert rig.stages(run) == [OVER]
    rig.poll()

    assert rig.stages(run) == [OVER, "CANCEL:ended_by_itself"]
    assert len(rig.patches()) == 1


def test_a_watched_run_that_is_followed_no_more_is_let_go(rigs: Rigs):
    rig = rigs(limit(warn_after=minutes(20), cancel_after=minutes(600)))
    run, other = rig.run(age="30m"), rig.run(age="40m")
    rig.poll(2)
    rig.end(run)
    rig.state = replace(rig.state, unfinished={other: rig.state.unfinished[other]})  # it has left the scope

    rig.cycle()

    assert set(rig.canceller.limits.runs) == {other}
    assert rig.stages(run) == rig.stages(other) == [OVER]
    rig.restart()
    assert set(rig.canceller.limits.runs) == {other}, "nor does the record hold it"


def test_what_is_told_of_a_run_that_cannot_be_read_says_so(rigs: Rigs):
    rig = rigs(limit(stuck_after=minutes(2)))
    run = rig.run(age="40m", cancel="immortal")
    rig.poll(2)
    rig.control("DELETE", f"runs/{run}")
    rig.poll(8)

    stuck = rig.notices[f"{run}:{STUCK}"]

    assert rig.fact(f"{run}:{STUCK}", "status") == "not known: it could not be read"
    assert rig.fact(f"{run}:{STUCK}", "trigger") == "SCHEDULE"
    assert rig.fact(f"{run}:{STUCK}", "start") == rig.fact(f"{run}:{OVER}", "start")
    assert stuck.pipeline == rig.notices[f"{run}:{OVER}"].pipeline


def test_mode_observe_says_what_would_have_been_asked_and_why(rigs: Rigs):
    rig = rigs(limit(mode=Mode.OBSERVE))
    run = rig.run(age="1h")
    rig.poll(3)

    assert rig.fact(f"{run}:CANCEL:would_cancel", "cancel") == (
        'would have been asked to stop by limit "prod nightly" after 1 h; limit 30 min; mode observe'
    )


def test_a_breaker_that_opens_names_the_limit_and_what_to_do(rigs: Rigs):
    rig = rigs(limit(), max_per_hour=1)
    first, second = rig.run(age="2h"), rig.run(age="1h")
    rig.poll(3)

    assert rig.stages(first)[:2] == [OVER, REQUESTED]
    [opened] = [event for event in rig.told if event.startswith(second) and not event.endswith(OVER)] or [
        event for event in rig.told if "breaker" in event
    ]
    assert rig.notices[opened].subject == "the breaker is open, no run is asked to stop any more"
    assert rig.fact(opened, "breaker") == (
        '1 run was asked to stop within an hour, and limit "prod nightly" would ask this one next; '
        "none is asked any more until somebody has looked and runs: maia-exporter limits resume"
    )
