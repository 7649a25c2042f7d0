"""Whether a run may be asked to stop: by what polls have shown, and by the last look at the run itself.

Each answer is a `Reason`. Must not act on it, and must not trust the list of runs for the last look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.core.limits.rules import LimitRule, Mode
from exporter.core.limits.runs import CancelRequest, FreshRead, LimitedRun, Reason, RequestMode
from exporter.core.model import Status, Trigger

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.core.limits.rules import Coverage
    from exporter.core.model import Run
    from exporter.core.state import Observation, State

CLOCK_TOLERANCE = 60.0
"""Seconds by which our clock and the API's may differ: beyond it one of them is wrong, and ages with it."""

_SAME_START = timedelta(seconds=1)  # a list may cut the fraction off that the run itself shows


def clock_trouble(skew_seconds: float | None) -> Reason | None:
    """Why ages are not to be acted on, if so. `skew_seconds`: the API's clock less ours, None when it told none."""
    if skew_seconds is None:
        return Reason.NO_SERVER_CLOCK
    return Reason.CLOCKS_DIFFER if abs(skew_seconds) > CLOCK_TOLERANCE else None


def fresh_read(observed: Observation, state: State) -> FreshRead:
    """What a regular poll read of the runs that are unfinished in the `state` after it."""
    read = {run.run_id for run in observed.runs}
    records = [state.unfinished[run_id] for run_id in read & state.unfinished.keys()]
    return FreshRead(
        observed.server_now,
        frozenset(record.run.run_id for record in records if record.followed),
        frozenset(record.run.run_id for record in records if record.run.status is Status.RUNNING),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoReads:
    """This poll's read and the one before it, and whether their clocks can be trusted."""

    this: FreshRead
    before: FreshRead | None
    stale_after: timedelta
    clocks: Reason | None

    def show_over(self, run: Run, after: timedelta) -> Reason:
        """Whether both show the run RUNNING past `after`."""
        reason = self.shows_over(run, after)
        if reason is not Reason.READY:
            return reason
        return self._both(run, after, self.before.running if self.before else frozenset())

    def show_unfinished(self, run: Run, after: timedelta) -> Reason:
        """Whether both show the run going on, RUNNING or CANCELLING, past `after`."""
        reason = self.shows_over(run, after, cancelling=True)
        if reason is not Reason.READY:
            return reason
        return self._both(run, after, self.before.unfinished if self.before else frozenset())

    def shows_over(self, run: Run, after: timedelta, *, cancelling: bool = False) -> Reason:
        """Whether this one shows the run RUNNING (or, where that will do, CANCELLING) past `after`."""
        if self.clocks is not None:
            return self.clocks
        return _goes_on_past(run, after, self.this.at, cancelling=cancelling)

    def _both(self, run: Run, after: timedelta, shown_before: frozenset[str]) -> Reason:
        if self.before is None or run.started_at is None or run.run_id not in shown_before:
            return Reason.READ_ONCE
        fresh = timedelta(0) < self.this.at - self.before.at <= self.stale_after
        return Reason.READY if fresh and self.before.at - run.started_at >= after else Reason.READ_ONCE


def last_look(
    limited: LimitedRun,
    request: CancelRequest,
    run: Run,
    *,
    coverage: Coverage,
    server_now: datetime,
    skew_seconds: float | None,
    claimed: bool = False,
) -> Reason:
    """Whether the request may be sent now: `run` was read by its id this moment, `coverage` is the config's of now.

    `claimed`: the request is written down as sent already, but was not yet.
    """
    if run.finished:
        return Reason.FINISHED
    if not _is_meant(limited, run):
        return Reason.ANOTHER_RUN
    trigger = limited.trigger if run.trigger is Trigger.UNKNOWN else run.trigger
    rule = coverage.rule_for(limited.pipeline, trigger)
    if rule is None or rule != request.rule or rule.mode is not Mode.CANCEL or rule.cancel_after is None:
        return Reason.RULE_CHANGED
    trouble = clock_trouble(skew_seconds)
    if trouble is not None:
        return trouble
    by_force = request.mode is RequestMode.FORCE
    if by_force and not force_is_due(limited, rule, server_now):
        return Reason.NOT_OVER
    first_try = request.tries == (1 if claimed else 0)  # a repetition only goes to a run that is still RUNNING
    return _goes_on_past(run, rule.cancel_after, server_now, cancelling=by_force and first_try)


def force_due_at(limited: LimitedRun, rule: LimitRule | None) -> datetime | None:
    """From when on a run that was politely asked may be forced under the limit of now; None: never."""
    polite = limited.polite
    if rule is None or rule.force_after is None or rule.mode is not Mode.CANCEL:
        return None
    if polite is None or polite.sent_at is None or polite.rule.name != rule.name:
        return None
    return polite.sent_at + rule.force_after


def force_is_due(limited: LimitedRun, rule: LimitRule | None, now: datetime) -> bool:
    """Whether it may be forced now, as far as waiting goes."""
    due_at = force_due_at(limited, rule)
    return due_at is not None and now >= due_at


def _goes_on_past(run: Run, after: timedelta, now: datetime, *, cancelling: bool) -> Reason:
    if run.status is not Status.RUNNING and not (cancelling and run.status is Status.CANCELLING):
        return Reason.NOT_RUNNING
    if run.started_at is None or run.started_at > now:
        return Reason.NO_START
    return Reason.READY if now - run.started_at >= after else Reason.NOT_OVER


def _is_meant(limited: LimitedRun, run: Run) -> bool:
    """Whether a run that was read now is the one that was found over its limit."""
    if run.run_id.casefold() != limited.run_id.casefold() or run.pipeline != limited.pipeline:
        return False
    return run.started_at is not None and abs(run.started_at - limited.started_at) < _SAME_START
