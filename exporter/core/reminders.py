"""Which pipelines that stay broken are to be spoken of again.

Pure. A reminder belongs to the poll in which its time comes: a poll after a pause reminds once, not once for each
interval. Must not decide whom to remind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import gcd
from typing import TYPE_CHECKING

from exporter.core.durations import format_duration
from exporter.core.expectations import still_reading
from exporter.core.notice import Fact

if TYPE_CHECKING:
    from exporter.core.model import PipelineKey
    from exporter.core.routing import Routing
    from exporter.core.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """A pipeline that is broken, in a poll in which some route's time to remind of it may have come."""

    key: PipelineKey
    run_id: str  # the newest run that failed
    number: int  # grows with the time that it has been broken; never the same in two polls
    before: float  # for how many seconds it had been broken at the last poll
    now: float  # and at this one

    def due(self, remind_every: timedelta) -> bool:
        """Whether the time of a route that reminds so often has come."""
        seconds = remind_every.total_seconds()
        return seconds > 0 and self.now // seconds > self.before // seconds

    @property
    def fact(self) -> Fact:
        """What makes it a reminder."""
        return Fact(label="reminder", value=f"still broken after {format_duration(timedelta(seconds=self.now))}")

    @property
    def stage(self) -> str:
        """The end of the event id."""
        return f"reminder:{self.number}"


def due_reminders(before: State, after: State, routing: Routing) -> list[Reminder]:
    """The pipelines of which somebody may have to be reminded in the poll that led from `before` to `after`."""
    every = sorted({int(route.remind_every.total_seconds()) for route in routing.routes} - {0})
    last_poll, this_poll = before.cursor.polled_at, after.cursor.polled_at
    if not every or last_poll is None or this_poll is None or this_poll <= last_poll or still_reading(after):
        return []
    step = gcd(*every)  # any interval ends on a multiple of it, so that numbers of different routes never meet
    then, now = last_poll.timestamp(), this_poll.timestamp()
    found = []
    for key, pipeline in after.pipelines.items():
        streak = pipeline.streak
        if streak.since is None or not streak.orders:
            continue
        was, broken = max(0.0, then - streak.since), now - streak.since
        if any(broken // seconds > was // seconds for seconds in every):
            number, run_id = int(broken // step), streak.orders[-1][1]
            found.append(Reminder(key=key, run_id=run_id, number=number, before=was, now=broken))
    return found
