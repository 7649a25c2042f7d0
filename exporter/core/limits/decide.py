"""What follows from a step of the account: who is told, who is to be asked, who has ended. Before the commit.

Must not ask the API: what it decides is looked at once more, on the run itself, before anything is sent (`judge`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.core.events import Event, RunFinished
from exporter.core.limits.breaker import WINDOW
from exporter.core.limits.draft import Draft, Moment, without_intent
from exporter.core.limits.judge import TwoReads, clock_trouble, fresh_read
from exporter.core.limits.pursue import miss, pursue
from exporter.core.limits.rules import LimitRule, Mode
from exporter.core.limits.runs import (
    ASKED,
    WATCHED,
    CancelRequest,
    LimitedRun,
    Limits,
    LimitStep,
    Reason,
    RequestMode,
    Stage,
)
from exporter.core.model import Status
from exporter.core.state import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.core.limits.rules import Coverage
    from exporter.core.model import Run
    from exporter.core.state import Observation, RunRecord, State

_MATCH_WRITTEN_EVERY = timedelta(hours=1)
_SLOWEST_POLL = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """[cancel], and how old what we know may be before it is nothing to act on."""

    max_per_hour: int
    stale_after: timedelta

    @classmethod
    def of(cls, *, max_per_hour: int, interval: timedelta) -> Policy:
        """For polls every `interval`: two of them, and what one may well take."""
        return cls(max_per_hour=max_per_hour, stale_after=2 * interval + _SLOWEST_POLL)


def decide(
    limits: Limits,
    *,
    state: State,
    observed: Observation | None,
    events: Iterable[Event],
    coverage: Coverage,
    policy: Policy,
    moment: Moment,
) -> LimitStep:
    """What follows from one step of the tracker: `state` after it, what it `observed` (None: nothing), its `events`.

    Every step counts, for any may show a run's end; only a regular poll is a fresh read of what goes on.
    """
    draft = Draft(limits, moment)
    for event in events:
        if isinstance(event, RunFinished):
            _close(draft, event.record.run)
    if observed is not None and observed.origin is Origin.POLL:
        _Look(draft, state, observed, coverage=coverage, policy=policy).look()
    return draft.finish()


def _close(draft: Draft, run: Run) -> None:
    """A run has ended, and the API has said so."""
    limited = draft.runs.get(run.run_id)
    if limited is None:
        return
    limited = without_intent(draft, limited)
    closed = replace(limited, closed_at=draft.now)
    heard = limited.may_have_been_heard
    if run.status is Status.CANCELLED and heard:
        draft.ours(run.run_id)
        draft.enter(closed, Stage.CANCELLED, run)
    elif heard or limited.stage in ASKED:
        draft.enter(closed, Stage.ENDED_BY_ITSELF, run)
    else:
        draft.put(closed)


class _Look:
    """One poll's look at all unfinished runs; lives only inside `decide`."""

    def __init__(
        self, draft: Draft, state: State, observed: Observation, *, coverage: Coverage, policy: Policy
    ) -> None:
        self.draft = draft
        self.state = state
        self.coverage = coverage
        self.policy = policy
        self.reads = TwoReads(
            this=fresh_read(observed, state),
            before=draft.last_read,
            stale_after=policy.stale_after,
            clocks=clock_trouble(draft.moment.skew_seconds),
        )
        self.now = observed.server_now
        self.candidates: list[tuple[LimitedRun, LimitRule, Run]] = []

    def look(self) -> None:
        """See every run, then those that were not shown, then decide whom to ask."""
        draft, reads = self.draft, self.reads
        draft.over, draft.held = frozenset(), {}
        over = set()
        for record in self.state.unfinished.values():
            if record.followed and self._see(record):
                over.add(record.run.run_id)
        draft.over = frozenset(over)
        for limited in list(draft.runs.values()):
            if limited.run_id not in reads.this.unfinished:
                miss(draft, limited, known=limited.run_id in self.state.unfinished)
        self._admit()
        draft.last_read = reads.this

    def _see(self, record: RunRecord) -> bool:
        """Look at one run; whether it is past its limit."""
        draft, run = self.draft, record.run
        rule = self.coverage.rule_for(run.pipeline, run.trigger)
        if rule is not None:
            last = draft.limits.matched_at.get(rule.name)
            draft.matched(rule.name, worth_writing=last is None or self.now - last >= _MATCH_WRITTEN_EVERY)
        over = rule is not None and run.started_at is not None and self.now - run.started_at >= rule.announce_after
        if run.run_id not in self.reads.this.unfinished:
            return over
        limited = draft.runs.get(run.run_id)
        if limited is not None and limited.stage not in WATCHED:
            pursue(draft, limited, run, rule, self.reads)
        elif rule is not None and run.started_at is not None and over:
            self._watch(limited, run, rule)
        return over

    def _watch(self, limited: LimitedRun | None, run: Run, rule: LimitRule) -> None:
        """Tell of a run past its limit; past `cancel_after`, and where all rails hold, it is one to ask."""
        draft = self.draft
        if limited is None:
            if self.reads.before is None and self.reads.clocks is not None:
                return  # the first reading of a process may have been timed by our own clock
            limited = self._announced(run, rule)
        reason = self._may_ask(limited, run, rule)
        if reason is None:
            return
        if limited.stage is Stage.WARNED:
            limited = replace(limited, stage=Stage.OVER, limit=rule.name)
            draft.put(limited)
        if reason is not Reason.READY:
            draft.held[run.run_id] = reason
        elif rule.mode is Mode.CANCEL:
            self.candidates.append((limited, rule, run))
        elif limited.stage is not Stage.WOULD_CANCEL:
            draft.put(replace(limited, stage=Stage.WOULD_CANCEL, limit=rule.name))
            draft.count_request(run.pipeline, RequestMode.OBSERVE)
            draft.notify(limited, draft.tell.would_cancel(limited, rule, run))

    def _announced(self, run: Run, rule: LimitRule) -> LimitedRun:
        limited = LimitedRun(
            run_id=run.run_id,
            pipeline=run.pipeline,
            trigger=run.trigger,
            started_at=run.started_at or self.now,
            limit=rule.name,
            stage=Stage.WARNED,
            over_at=self.now,
        )
        self.draft.put(limited)
        self.draft.announce(limited, self.draft.tell.over_limit(limited, rule, run))
        return limited

    def _may_ask(self, limited: LimitedRun, run: Run, rule: LimitRule) -> Reason | None:
        """Whether the rails let it be asked; None where it is within `cancel_after`, or the limit only warns."""
        after = rule.cancel_after
        if rule.mode is Mode.WARN or after is None or self.now - limited.started_at < after:
            return None
        return self.reads.show_over(run, after)

    def _admit(self) -> None:
        """Decide to ask the oldest ones first, as many as the breaker lets through; one too many opens it."""
        draft, now, max_per_hour = self.draft, self.now, self.policy.max_per_hour
        for limited, rule, run in sorted(self.candidates, key=lambda each: (each[0].started_at, each[0].run_id)):
            if draft.breaker.room(now, max_per_hour=max_per_hour) > self._waiting():
                draft.breaker = draft.breaker.after_asking(now)
                self._intend(limited, rule, run)
                continue
            draft.held[run.run_id] = Reason.BREAKER_OPEN
            if not draft.breaker.is_open:
                draft.breaker = draft.breaker.opened(now)
                draft.notify(limited, draft.tell.breaker_opened(limited, run, max_per_hour=max_per_hour))

    def _intend(self, limited: LimitedRun, rule: LimitRule, run: Run) -> None:
        counted_at = limited.polite.first_sent_at if limited.polite is not None else None
        polite = CancelRequest(mode=RequestMode.POLITE, rule=rule, decided_at=self.now, first_sent_at=counted_at)
        self.draft.put(
            replace(
                limited,
                stage=Stage.INTENT,
                limit=rule.name,
                pipeline=run.pipeline,
                trigger=run.trigger,
                started_at=run.started_at or limited.started_at,
                polite=polite,
            )
        )

    def _waiting(self) -> int:
        """Requests that were decided more than an hour ago and could not be sent yet: they take room as well."""
        return sum(
            limited.stage is Stage.INTENT
            and limited.polite is not None
            and not limited.polite.tries
            and limited.polite.decided_at <= self.now - WINDOW
            for limited in self.draft.runs.values()
        )
