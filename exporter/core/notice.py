"""What is to be told, and to whom: the nouns between deciding, keeping and sending.

A `Notice` is decided once, kept as a row, and rendered when it is sent. Must not decide or render.
"""

from __future__ import annotations

# The names in annotations are imported for good: the store's decoder reads the annotations.
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from exporter.core.model import PipelineKey


class EventKind(StrEnum):
    """What a notice is about, in the spelling of routes, metrics and titles."""

    FAILED = "FAILED"
    FORBIDDEN = "FORBIDDEN"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    RECOVERED = "RECOVERED"
    OVERDUE = "OVERDUE"
    OVER_LIMIT = "OVER_LIMIT"
    CANCEL = "CANCEL"
    VANISHED = "VANISHED"
    EXPORTER = "EXPORTER"


class Suppression(StrEnum):
    """Why an event is not told to a target: the closed label set of the metric."""

    BASELINE = "baseline"
    SILENCED = "silenced"
    UNCHANGED = "unchanged"
    NO_ROUTE = "no_route"
    EXPIRED = "expired"


class DeliveryState(StrEnum):
    """Where the delivery of an event to one target stands."""

    PENDING = "pending"
    LEASED = "leased"  # being sent, or was when the process died
    SENT = "sent"
    DEAD = "dead"  # the target refused it
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a message's body: `label: value`. Text of the API is kept as it came and made inert when rendered."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth telling. `event_id` is the same however often the same thing is found."""

    event_id: str
    event: EventKind
    occurred_at: datetime  # when it happened, by the API's clock
    detected_at: datetime  # when we saw it
    subject: str  # what the title says after `EVENT: `, for example `nightly in prod (Finance)`
    facts: tuple[Fact, ...] = ()  # in the order of the body, without the step that failed
    run_id: str = ""
    pipeline: PipelineKey | None = None
    late: bool = False  # told more than ten minutes after the run ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What one target is to get of a notice: the message, or nothing, for a reason."""

    target: str
    why: str  # in words for `alerts show`: the route that matched, the silence, …
    suppressed: Suppression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A notice and what every target gets of it; committed together with what was detected."""

    notice: Notice
    dispatches: tuple[Dispatch, ...]
