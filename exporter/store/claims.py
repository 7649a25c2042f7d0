"""What a lease on deliveries is, as values: what a worker holds while it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.core.delivery import Standing
    from exporter.core.notice import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """One delivery, ours to send."""

    id: int
    event_id: str
    notice: Notice
    detail: str
    attempt: int  # this is the how-manieth
    fence: int
    before: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What goes out as one message: one delivery or, in a digest, several."""

    target: str
    boot: str
    items: tuple[Leased, ...]
    digest: str  # "" for a message of its own
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to send now; `until` is when to ask again, None when nothing waits."""

    until: datetime | None
