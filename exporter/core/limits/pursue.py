"""What a poll means for runs that were asked to stop, or are about to be: sent after all, heard, to be forced, stuck.

Their end is not found here but by the tracker (`decide`). Must not send anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.core.limits.draft import Draft, without_intent
from exporter.core.limits.judge import TwoReads, force_due_at, force_is_due
from exporter.core.limits.runs import (
    ASKED,
    MOST_TRIES,
    Answer,
    CancelRequest,
    LimitedRun,
    Reason,
    RequestMode,
    Stage,
)
from exporter.core.model import Status

if TYPE_CHECKING:
    from datetime import timedelta

    from exporter.core.limits.rules import LimitRule
    from exporter.core.model import Run


def pursue(draft: Draft, limited: LimitedRun, run: Run, rule: LimitRule | None, reads: TwoReads) -> None:
    """Follow a run that this poll shows unfinished; `rule` is the limit it is under now."""
    if limited.stage is Stage.INTENT and limited.polite is not None:
        _before_asking(draft, limited, limited.polite, run, rule, reads)
    elif limited.stage is Stage.FORCE_INTENT and limited.force is not None:
        _before_forcing(draft, limited, limited.force, run, rule, reads)
    elif limited.stage is Stage.REQUESTED and rule is not None and _is_to_be_forced(limited, run, rule, reads):
        counted_at = limited.force.first_sent_at if limited.force is not None else None
        request = CancelRequest(mode=RequestMode.FORCE, rule=rule, decided_at=draft.now, first_sent_at=counted_at)
        draft.put(replace(limited, stage=Stage.FORCE_INTENT, limit=rule.name, force=request))
    elif limited.stage in ASKED:
        _give_up_in_time(draft, limited, run, rule)


def miss(draft: Draft, limited: LimitedRun, *, known: bool) -> None:
    """This poll did not show the run. Not `known`: it is no longer followed, because it has left the scope."""
    limited = without_intent(draft, limited)
    if limited.stage in ASKED:
        _give_up_in_time(draft, limited, None, None)
    elif not known:
        draft.put(replace(limited, closed_at=draft.now))


def _before_asking(
    draft: Draft, limited: LimitedRun, request: CancelRequest, run: Run, rule: LimitRule | None, reads: TwoReads
) -> None:
    """A polite request that was decided by an earlier poll: not sent yet, or sent without a clear answer."""
    if not request.tries:
        after = request.rule.cancel_after
        if rule != request.rule or after is None or reads.shows_over(run, after) is not Reason.READY:
            without_intent(draft, limited)
    elif run.status is Status.CANCELLING:
        draft.enter(replace(limited, polite=replace(request, answer=Answer.ACCEPTED)), Stage.REQUESTED, run)
    elif request.tries >= MOST_TRIES:
        draft.enter(limited, Stage.REQUESTED, run)
    else:
        _give_up_in_time(draft, limited, run, rule)


def _before_forcing(
    draft: Draft, limited: LimitedRun, request: CancelRequest, run: Run, rule: LimitRule | None, reads: TwoReads
) -> None:
    """The same for the request by force. Sent without a clear answer, it is repeated only for a run still RUNNING."""
    if request.tries and (run.status is Status.CANCELLING or request.tries >= MOST_TRIES):
        draft.enter(limited, Stage.FORCED, run)
        return
    if not request.tries:
        after = request.rule.cancel_after
        over = after is not None and reads.shows_over(run, after, cancelling=True) is Reason.READY
        if rule != request.rule or not over:
            limited = without_intent(draft, limited)
    _give_up_in_time(draft, limited, run, rule)


def _is_to_be_forced(limited: LimitedRun, run: Run, rule: LimitRule, reads: TwoReads) -> bool:
    if not force_is_due(limited, rule, reads.this.at) or rule.cancel_after is None:
        return False
    if limited.force is not None and limited.force.answer is not Answer.WITHDRAWN:
        return False
    return reads.show_unfinished(run, rule.cancel_after) is Reason.READY


def _give_up_in_time(draft: Draft, limited: LimitedRun, run: Run | None, rule: LimitRule | None) -> None:
    """Call it stuck when nothing has come of the last request, and no other is to come, for `stuck_after`."""
    request = limited.last_sent
    if request is None or request.sent_at is None:
        return
    since = request.sent_at
    if request.mode is RequestMode.POLITE:
        since = max(since, force_due_at(limited, rule) or since)
    if draft.now - since < _stuck_after(request, rule):
        return
    draft.enter(without_intent(draft, limited), Stage.STUCK, run)


def _stuck_after(request: CancelRequest, rule: LimitRule | None) -> timedelta:
    same = rule is not None and rule.name == request.rule.name
    return rule.stuck_after if rule is not None and same else request.rule.stuck_after
