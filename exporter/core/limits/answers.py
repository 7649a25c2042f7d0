"""What follows from the last look at a run and from the API's answer to a request: each a step, committed as it comes.

Must not talk to the API (`exporter.canceller` does), nor take a request for an end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.core.limits.draft import Draft, Moment, without_intent
from exporter.core.limits.runs import Answer, CancelRequest, LimitedRun, Limits, LimitStep, Reason, Stage
from exporter.core.limits.runs import RequestMode as Mode
from exporter.core.model import Status

if TYPE_CHECKING:
    from exporter.core.model import Run


def due(limits: Limits) -> tuple[LimitedRun, ...]:
    """The runs of which a request is to be sent, or to be looked after: those decided first."""
    waiting = [(limited.due.decided_at, limited.started_at, limited) for limited in limits.runs.values() if limited.due]
    return tuple(limited for _, _, limited in sorted(waiting, key=lambda each: (*each[:2], each[2].run_id)))


def claimed(limits: Limits, limited: LimitedRun, moment: Moment) -> LimitStep:
    """The request is about to be sent. Who fails to commit this must not send it."""
    draft = Draft(limits, moment)
    request = _due(limited)
    if request.first_sent_at is None:
        draft.count_request(limited.pipeline, request.mode)
        if request.mode is Mode.POLITE:
            draft.breaker = draft.breaker.without(request.decided_at).after_asking(draft.now)
    request = replace(
        request,
        answer=Answer.SENT,
        tries=request.tries + 1,
        sent_at=draft.now,
        first_sent_at=request.first_sent_at or draft.now,
    )
    draft.put(_with(limited, request))
    return draft.finish()


def accepted(limits: Limits, limited: LimitedRun, run: Run, moment: Moment) -> LimitStep:
    """The API has taken the request: what is to follow in time counts from now, not from before it was sent."""
    draft = Draft(limits, moment)
    _enter_asked(draft, _with(limited, replace(_due(limited), answer=Answer.ACCEPTED, sent_at=draft.now)), run)
    return draft.finish()


def doubtful(limits: Limits, limited: LimitedRun, moment: Moment, *, detail: str) -> LimitStep:
    """No clear answer: perhaps it was heard. The next poll looks, and decides whether it is sent once more."""
    draft = Draft(limits, moment)
    draft.put(_with(limited, replace(_due(limited), sent_at=draft.now, detail=detail)))
    return draft.finish()


def unheard(limits: Limits, limited: LimitedRun, moment: Moment, *, detail: str) -> LimitStep:
    """The request certainly was not carried out, and may be sent later: the account's budget is used up."""
    draft = Draft(limits, moment)
    request = _due(limited)
    tries = request.tries - 1
    answer = Answer.SENT if tries else Answer.DECIDED
    draft.put(_with(limited, replace(request, tries=tries, answer=answer, detail=detail)))
    return draft.finish()


def refused(limits: Limits, limited: LimitedRun, run: Run | None, moment: Moment, *, detail: str) -> LimitStep:
    """The API will not do it, or will not even show us the run: told once, never tried again."""
    draft = Draft(limits, moment)
    request = replace(_due(limited), answer=Answer.REFUSED, detail=detail)
    draft.enter(_with(limited, request), Stage.REFUSED, run, detail=detail)
    return draft.finish()


def too_late(limits: Limits, limited: LimitedRun, moment: Moment, *, detail: str) -> LimitStep:
    """The API would not do it, because the run had ended; how, the next poll tells."""
    draft = Draft(limits, moment)
    request = replace(_due(limited), answer=Answer.REFUSED, detail=detail)
    stage = Stage.FORCED if request.mode is Mode.FORCE else Stage.REQUESTED
    draft.put(replace(_with(limited, request), stage=stage))
    return draft.finish()


def given_up(limits: Limits, limited: LimitedRun, run: Run | None, moment: Moment, reason: Reason) -> LimitStep:
    """The last look says no. What was never sent is withdrawn; what may have been heard is followed to its end."""
    draft = Draft(limits, moment)
    draft.held[limited.run_id] = reason
    request = _due(limited)
    if not request.tries:
        without_intent(draft, limited)
    elif run is not None and not run.finished:
        if run.status is Status.CANCELLING and request.mode is Mode.POLITE:
            limited = _with(limited, replace(request, answer=Answer.ACCEPTED))
        _enter_asked(draft, limited, run)
    return draft.finish()


def _enter_asked(draft: Draft, limited: LimitedRun, run: Run) -> None:
    stage = Stage.FORCED if limited.stage is Stage.FORCE_INTENT else Stage.REQUESTED
    draft.held.pop(limited.run_id, None)
    draft.enter(limited, stage, run)


def _due(limited: LimitedRun) -> CancelRequest:
    if limited.due is None:
        raise ValueError(f"run {limited.run_id} has no request to send: {limited.stage.value}")
    return limited.due


def _with(limited: LimitedRun, request: CancelRequest) -> LimitedRun:
    if request.mode is Mode.FORCE:
        return replace(limited, force=request)
    return replace(limited, polite=request)
