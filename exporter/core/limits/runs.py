"""What is kept of runs that went past a limit: how far each has come, what was asked of the API, what was counted.

Everything is frozen and has a row (`exporter.store.cancellations`). Must not decide anything.
"""

from __future__ import annotations

# The names in annotations are imported for good: the store's decoder reads the annotations.
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.core.limits.breaker import Breaker
from exporter.core.limits.rules import LimitRule
from exporter.core.model import PipelineKey, Trigger

if TYPE_CHECKING:
    from exporter.core.notice import Notice
    from exporter.core.routing import Matter


class Stage(StrEnum):
    """How far a run past its limit has come. Where it stays is also the stage in a CANCEL's event id."""

    WARNED = "warned"  # past its first threshold, and told
    OVER = "over"  # past `cancel_after`, not asked yet
    WOULD_CANCEL = "would_cancel"  # mode observe: told what would have been asked for
    INTENT = "intent"  # the polite request is decided, or sent without a clear answer
    REQUESTED = "requested"
    FORCE_INTENT = "force_intent"
    FORCED = "forced"
    CANCELLED = "cancelled"
    ENDED_BY_ITSELF = "ended_by_itself"
    REFUSED = "refused"
    STUCK = "stuck"


class RequestMode(StrEnum):
    """How a run is asked to end: the closed label set of the metric."""

    OBSERVE = "observe"  # only said, never asked
    POLITE = "polite"
    FORCE = "force"


WATCHED = (Stage.WARNED, Stage.OVER, Stage.WOULD_CANCEL)
"""Stages of runs that were not asked."""

ASKED = (Stage.INTENT, Stage.REQUESTED, Stage.FORCE_INTENT, Stage.FORCED)
"""Stages of runs that were asked, or are about to be, and whose story goes on."""

OUTCOMES = (Stage.CANCELLED, Stage.ENDED_BY_ITSELF, Stage.REFUSED, Stage.STUCK)
"""What a request can come to, in the order of the metric's label values."""

REQUEST_MODES = tuple(RequestMode)


class Answer(StrEnum):
    """What has become of a request."""

    WITHDRAWN = "withdrawn"  # never sent; may be decided again
    DECIDED = "decided"  # not sent yet
    SENT = "sent"  # no clear answer: it may have been heard
    ACCEPTED = "accepted"
    REFUSED = "refused"


MOST_TRIES = 2
"""How often one request may be sent: once, and once more after an unclear answer and a look at the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """One of the at most two requests of a run, one a mode. `version` grows with each change, so that two cannot clash.

    All instants are the API server's.
    """

    mode: RequestMode
    rule: LimitRule  # as it was when this was decided
    decided_at: datetime
    version: int = 1
    answer: Answer = Answer.DECIDED
    tries: int = 0  # PATCHes that may have been heard
    sent_at: datetime | None = None  # the last of them
    first_sent_at: datetime | None = None
    detail: str = ""  # what the API said, in words

    @property
    def may_have_worked(self) -> bool:
        """Whether the run's end can be its doing."""
        return self.tries > (1 if self.answer is Answer.REFUSED else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedRun:
    """A run that went past its limit. `started_at` and `pipeline` are what it must still show before a request."""

    run_id: str
    pipeline: PipelineKey
    trigger: Trigger
    started_at: datetime
    limit: str  # the name of the limit it was told about last
    stage: Stage
    over_at: datetime  # when it was seen past its first threshold, by the API's clock
    polite: CancelRequest | None = None
    force: CancelRequest | None = None
    closed_at: datetime | None = None  # when it was seen to have ended; then it is final

    @property
    def due(self) -> CancelRequest | None:
        """The request that is to be sent, or sent once more."""
        return {Stage.INTENT: self.polite, Stage.FORCE_INTENT: self.force}.get(self.stage)

    @property
    def last_sent(self) -> CancelRequest | None:
        """The last request that may have been heard."""
        if self.force is not None and self.force.tries:
            return self.force
        return self.polite if self.polite is not None and self.polite.tries else None

    @property
    def may_have_been_heard(self) -> bool:
        """Whether its end can be our doing."""
        return any(request is not None and request.may_have_worked for request in (self.polite, self.force))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCounts:
    """A pipeline's counters of its limits. They only grow, and come back after a restart."""

    over: int = 0
    requests: tuple[int, ...] = (0,) * len(REQUEST_MODES)  # in the order of REQUEST_MODES
    outcomes: tuple[int, ...] = (0,) * len(OUTCOMES)  # in the order of OUTCOMES


@dataclass(frozen=True, slots=True)
class FreshRead:
    """Which runs a poll showed unfinished, and which of them RUNNING. `at` is the API's clock when it began."""

    at: datetime
    unfinished: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()


class Reason(StrEnum):
    """Why a run past its limit is, or is not, asked to stop now."""

    READY = "it is running, over its limit and covered by it"
    READ_ONCE = "one read shows it over its limit; two in a row must"
    NOT_RUNNING = "it is not RUNNING"
    FINISHED = "it has ended"
    ANOTHER_RUN = "project, environment, pipeline or start are not those of the run that was meant"
    RULE_CHANGED = "the config's limit for it is another one now"
    NOT_OVER = "it is within its limit"
    NO_START = "it has no start, or one in the future"
    NO_SERVER_CLOCK = "the API has not told its time"
    CLOCKS_DIFFER = "our clock and the API's differ by more than a minute"
    BREAKER_OPEN = "the breaker is open; close it with: maia-exporter limits resume"
    UNREADABLE = "it could not be read just now"
    REFUSED = "the API will not show it to us"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All that is held about limits. `runs` are those whose end has not been seen."""

    runs: Mapping[str, LimitedRun] = field(default_factory=dict)
    counts: Mapping[PipelineKey, LimitCounts] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    matched_at: Mapping[str, datetime] = field(default_factory=dict)  # limit -> when it last had a run to watch
    over_now: frozenset[str] = frozenset()  # unfinished runs past their limit, as of the last poll
    held: Mapping[str, Reason] = field(default_factory=dict)  # past `cancel_after`, and why not asked; not stored
    last_read: FreshRead | None = None  # not stored: after a restart two reads are needed again


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """The rows that one commit writes."""

    runs: tuple[LimitedRun, ...] = ()
    requests: tuple[tuple[str, CancelRequest], ...] = ()  # (run id, request)
    counts: tuple[tuple[PipelineKey, LimitCounts], ...] = ()
    breaker: Breaker | None = None
    opened: bool = False  # the breaker was closed before; only then is its opening written, a person may close it
    matched_at: tuple[tuple[str, datetime], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.runs or self.requests or self.counts or self.breaker is not None or self.matched_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStep:
    """What follows: the new state, its rows, what people are told, and whose end is our doing."""

    limits: Limits
    change: LimitChange = field(default_factory=LimitChange)
    told: tuple[tuple[Notice, Matter], ...] = ()  # what is to be told, and what routes hold it against
    cancelled_by_us: frozenset[str] = frozenset()  # run ids: their CANCELLED is told as CANCEL
