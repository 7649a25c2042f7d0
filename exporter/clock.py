"""The clock, the only user of `time` and `datetime.now`: the poller's and the notifier's loops hold one.

Everything else takes `now` as an argument.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


CLOCK_SLACK = 5.0
"""Seconds by which the wall clock and the monotonic one may part before the machine must have slept."""


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards: for deadlines and schedules, never for comparing with API times."""

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait up to `seconds`; True as soon as `stop` is set."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the place

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()  # noqa: TID251 - this is the place

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait up to `seconds`; True as soon as `stop` is set."""
        return stop.wait(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class Mark:
    """When something began, on both of our clocks: they part when the machine sleeps or its clock is set."""

    wall: datetime
    monotonic: float

    @classmethod
    def of(cls, clock: Clock) -> Mark:
        """Now."""
        return cls(clock.now(), clock.monotonic())

    def aged(self, clock: Clock, seconds: float) -> bool:
        """Whether more than `seconds` have passed since on either clock, or the clocks have parted."""
        monotonic = clock.monotonic() - self.monotonic
        wall = (clock.now() - self.wall).total_seconds()
        return max(monotonic, wall) > seconds or abs(wall - monotonic) > CLOCK_SLACK
