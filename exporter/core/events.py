"""What happened, in the past tense: the tracker's answer, and what alerts and limits decide on.

Each event has a key that is the same however often the same thing is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.core.state import RunRecord


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run was seen for the first time (those that were there before us are not news)."""

    record: RunRecord

    @property
    def key(self) -> str:
        """`<run id>:STARTED`."""
        return f"{self.record.run.run_id}:STARTED"


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run was seen finished for the first time. History raises no event."""

    record: RunRecord

    @property
    def key(self) -> str:
        """`<run id>:<status>`."""
        return f"{self.record.run.run_id}:{self.record.run.status.value}"


@dataclass(frozen=True, slots=True)
class RunVanished:
    """The API said twice that it does not know a run that had not finished."""

    record: RunRecord

    @property
    def key(self) -> str:
        """`<run id>:VANISHED`."""
        return f"{self.record.run.run_id}:VANISHED"


@dataclass(frozen=True, slots=True)
class RunsPossiblyMissed:
    """Promise 1 could not be kept: what started in this span was not read. Instants are the API server's."""

    since: datetime
    until: datetime


Event = RunStarted | RunFinished | RunVanished | RunsPossiblyMissed
