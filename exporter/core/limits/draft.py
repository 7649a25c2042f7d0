"""One step of the limits while it is made: takes changes, adds up what is written and told.

Must not decide what changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exporter.core.limits.notices import Teller
from exporter.core.limits.runs import (
    OUTCOMES,
    REQUEST_MODES,
    Answer,
    CancelRequest,
    FreshRead,
    LimitChange,
    LimitCounts,
    LimitedRun,
    Limits,
    LimitStep,
    Reason,
    RequestMode,
    Stage,
)
from exporter.core.routing import Matter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exporter.core.limits.breaker import Breaker
    from exporter.core.model import PipelineKey, Run
    from exporter.core.notice import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a step is taken, and in what words it is told."""

    server_now: datetime  # the API's clock
    detected_at: datetime  # ours
    skew_seconds: float | None  # the API's clock less ours; None when it has never told its time
    names: Mapping[str, str]  # project id -> name


class Draft:
    """Begins with what is held, ends as a `LimitStep`."""

    def __init__(self, limits: Limits, moment: Moment) -> None:
        self.limits = limits
        self.moment = moment
        self.now = moment.server_now
        self.tell = Teller(moment.names, server_now=moment.server_now, detected_at=moment.detected_at)
        self.runs = dict(limits.runs)
        self.breaker: Breaker = limits.breaker
        self.over: frozenset[str] = limits.over_now
        self.held: dict[str, Reason] = dict(limits.held)
        self.last_read: FreshRead | None = limits.last_read
        self._counts = dict(limits.counts)
        self._matched = dict(limits.matched_at)
        self._changed: dict[str, LimitedRun] = {}
        self._requests: dict[tuple[str, RequestMode], CancelRequest] = {}
        self._counted: set[PipelineKey] = set()
        self._newly_matched: set[str] = set()
        self._told: list[tuple[Notice, Matter]] = []
        self._ours: set[str] = set()

    def put(self, limited: LimitedRun) -> None:
        """Take a run's new value; a request of it that has changed gets the next version."""
        before = self.limits.runs.get(limited.run_id)
        polite = self._versioned(limited.run_id, limited.polite, before.polite if before else None)
        force = self._versioned(limited.run_id, limited.force, before.force if before else None)
        limited = replace(limited, polite=polite, force=force)
        self._changed[limited.run_id] = limited
        if limited.closed_at is None:
            self.runs[limited.run_id] = limited
        else:
            self.runs.pop(limited.run_id, None)
            self.over -= {limited.run_id}
            self.held.pop(limited.run_id, None)

    def enter(self, limited: LimitedRun, stage: Stage, run: Run | None, *, detail: str = "") -> LimitedRun:
        """Move a run on to a stage that people are told of, and count it."""
        limited = replace(limited, stage=stage)
        self.put(limited)
        self.notify(limited, self.tell.stage(limited, run, detail=detail))
        if stage in OUTCOMES:
            counts = self._counts_of(limited.pipeline)
            self._count(limited.pipeline, replace(counts, outcomes=_plus_one(counts.outcomes, OUTCOMES.index(stage))))
        return limited

    def announce(self, limited: LimitedRun, notice: Notice) -> None:
        """Tell that a run is over its limit, and count it."""
        self.notify(limited, notice)
        pipeline = limited.pipeline
        counts = self._counts_of(pipeline)
        self._count(pipeline, replace(counts, over=counts.over + 1))

    def notify(self, limited: LimitedRun, notice: Notice) -> None:
        """Tell something of a run."""
        project = self.moment.names.get(limited.pipeline.project_id, "")
        self._told.append((notice, Matter(pipeline=limited.pipeline, project=project, triggers=(limited.trigger,))))

    def count_request(self, pipeline: PipelineKey, mode: RequestMode) -> None:
        """One run more was asked, or would have been."""
        counts = self._counts_of(pipeline)
        self._count(pipeline, replace(counts, requests=_plus_one(counts.requests, REQUEST_MODES.index(mode))))

    def ours(self, run_id: str) -> None:
        """This run's CANCELLED is our doing."""
        self._ours.add(run_id)

    def matched(self, limit: str, *, worth_writing: bool) -> None:
        """A limit had a run to watch."""
        self._matched[limit] = self.now
        if worth_writing:
            self._newly_matched.add(limit)

    def finish(self) -> LimitStep:
        """The step."""
        limits = Limits(
            runs=self.runs,
            counts=self._counts,
            breaker=self.breaker,
            matched_at=self._matched,
            over_now=self.over,
            held=self.held,
            last_read=self.last_read,
        )
        change = LimitChange(
            runs=tuple(self._changed.values()),
            requests=tuple((run_id, request) for (run_id, _), request in self._requests.items()),
            counts=tuple((pipeline, self._counts[pipeline]) for pipeline in sorted(self._counted)),
            breaker=self.breaker if self.breaker != self.limits.breaker else None,
            opened=self.breaker.is_open and not self.limits.breaker.is_open,
            matched_at=tuple((limit, self._matched[limit]) for limit in sorted(self._newly_matched)),
        )
        return LimitStep(limits=limits, change=change, told=tuple(self._told), cancelled_by_us=frozenset(self._ours))

    def _versioned(self, run_id: str, new: CancelRequest | None, old: CancelRequest | None) -> CancelRequest | None:
        if new is None or new == old:
            return new
        new = replace(new, version=1 if old is None else old.version + 1)
        self._requests[run_id, new.mode] = new
        return new

    def _counts_of(self, pipeline: PipelineKey) -> LimitCounts:
        return self._counts.get(pipeline, LimitCounts())

    def _count(self, pipeline: PipelineKey, counts: LimitCounts) -> None:
        self._counts[pipeline] = counts
        self._counted.add(pipeline)


def without_intent(draft: Draft, limited: LimitedRun) -> LimitedRun:
    """Give up the request that was decided, if it was never sent; the run as it stands then."""
    request = limited.due
    if request is None or request.tries:
        return limited
    withdrawn = replace(request, answer=Answer.WITHDRAWN)
    if request.mode is RequestMode.FORCE:
        limited = replace(limited, stage=Stage.REQUESTED, force=withdrawn)
    else:
        limited = replace(limited, stage=Stage.OVER, polite=withdrawn)
        draft.breaker = draft.breaker.without(request.decided_at)
    draft.put(limited)
    return limited


def _plus_one(numbers: tuple[int, ...], index: int) -> tuple[int, ...]:
    return (*numbers[:index], numbers[index] + 1, *numbers[index + 1 :])
