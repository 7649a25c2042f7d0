"""What is kept and told of an answer to a request: each answer by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exporter.core.limits import answers
from exporter.core.limits.draft import Moment
from exporter.core.limits.runs import Answer, CancelRequest, LimitedRun, Limits, RequestMode, Stage
from exporter.core.model import PipelineKey, Run, Status, Trigger

from .rig import limit

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = PipelineKey("p1", "prod", "finance/nightly-load.orch.yaml")
MOMENT = Moment(server_now=NOON, detected_at=NOON, skew_seconds=0.0, names={"p1": "Finance"})
RUN = Run(
    run_id="r1",
    pipeline=KEY,
    status=Status.RUNNING,
    status_text="RUNNING",
    trigger=Trigger.SCHEDULE,
    started_at=NOON - timedelta(hours=1),
)


def asked(*, tries: int = 1, mode: RequestMode = RequestMode.POLITE) -> tuple[Limits, LimitedRun]:
    """A run of which a request is on its way."""
    sent_at = NOON - timedelta(seconds=2) if tries else None
    request = CancelRequest(
        mode=mode, rule=limit(), decided_at=NOON - timedelta(minutes=1), tries=tries, sent_at=sent_at,
        answer=Answer.SENT if tries else Answer.DECIDED, first_sent_at=sent_at,
    )  # fmt: skip
    forced = mode is RequestMode.FORCE
    limited = LimitedRun(
        run_id="r1",
        pipeline=KEY,
        trigger=Trigger.SCHEDULE,
        started_at=NOON - timedelta(hours=1),
        limit="prod nightly",
        stage=Stage.FORCE_INTENT if forced else Stage.INTENT,
        over_at=NOON - timedelta(minutes=20),
        **{"force" if forced else "polite": request},
    )
    return Limits(runs={"r1": limited}), limited


def kept(step) -> CancelRequest:
    limited = step.limits.runs["r1"]
    return limited.force or limited.polite


def facts(step) -> dict[str, str]:
    [(notice, _)] = step.told
    return {fact.label: fact.value for fact in notice.facts}


def test_what_is_doubtful_keeps_the_apis_words_and_is_told_nobody():
    step = answers.doubtful(*asked(), MOMENT, detail="HTTP 503")

    assert (kept(step).answer, kept(step).tries, kept(step).detail) == (Answer.SENT, 1, "HTTP 503")
    assert step.limits.runs["r1"].stage is Stage.INTENT
    assert step.told == ()


@pytest.mark.parametrize(("tries", "answer"), [(1, Answer.DECIDED), (2, Answer.SENT)])
def test_what_was_certainly_not_heard_was_not_sent(tries, answer):
    step = answers.unheard(*asked(tries=tries), MOMENT, detail="HTTP 429")

    assert (kept(step).answer, kept(step).tries, kept(step).detail) == (answer, tries - 1, "HTTP 429")
    assert step.told == ()


def test_what_is_refused_is_told_with_the_run_and_the_apis_words():
    step = answers.refused(*asked(), RUN, MOMENT, detail="HTTP 403")

    assert (kept(step).answer, kept(step).detail) == (Answer.REFUSED, "HTTP 403")
    assert facts(step)["status"] == "RUNNING"
    assert facts(step)["answer"] == "HTTP 403"


@pytest.mark.parametrize(("mode", "stage"), [(RequestMode.POLITE, Stage.REQUESTED), (RequestMode.FORCE, Stage.FORCED)])
def test_what_comes_too_late_waits_for_the_poll_that_sees_the_end(mode, stage):
    step = answers.too_late(*asked(mode=mode), MOMENT, detail="HTTP 409")

    assert (kept(step).answer, kept(step).detail) == (Answer.REFUSED, "HTTP 409")
    assert step.limits.runs["r1"].stage is stage
    assert step.told == ()


@pytest.mark.parametrize(("mode", "stage"), [(RequestMode.POLITE, Stage.REQUESTED), (RequestMode.FORCE, Stage.FORCED)])
def test_what_is_accepted_is_told_with_the_run(mode, stage):
    step = answers.accepted(*asked(mode=mode), RUN, MOMENT)

    assert kept(step).answer is Answer.ACCEPTED
    assert step.limits.runs["r1"].stage is stage
    assert facts(step)["status"] == "RUNNING"
    assert "answer" not in facts(step)
