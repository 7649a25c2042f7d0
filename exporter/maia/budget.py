"""The request budget: when the next request may go out. Pure arithmetic on seconds that the caller passes.

Must not wait, and must not know the clock.

It is the generic cell rate algorithm: one number, the instant at which the bucket would be full again. A quarter of the
minute's requests may go at once, the rest follow evenly, so that no rolling minute holds more than the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.maia.watcher import ThrottleCause

_WINDOW = 61.0  # a minute, and a second because requests do not arrive as evenly as they leave
_ROUNDING = 1e-6  # seconds that sums of floats may be off; without it a wait could end just too early, for ever
_SHORTEST_WAIT = 0.001


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait before asking the budget again, and why."""

    seconds: float
    cause: ThrottleCause


class Budget:
    """At most `requests_per_minute` requests in any rolling minute, with bursts of a quarter of that."""

    def __init__(self, requests_per_minute: int) -> None:
        self.burst = max(1, requests_per_minute // 4)
        self._interval = _WINDOW / (requests_per_minute - self.burst + 1)
        self._full_at = float("-inf")
        self._not_before = float("-inf")

    @property
    def sustained_per_minute(self) -> float:
        """What it carries for ever, without a pause to recover in."""
        return 60.0 / self._interval

    def take(self, now: float, *, reserve: int = 0) -> Wait | None:
        """Take one request at `now` (monotonic seconds) and return None, or say how long to wait.

        `reserve`: how many requests to leave for more urgent callers; more than the burst allows means all but one.
        """
        if wait := self.silence(now):
            return wait
        room = max(0, self.burst - 1 - reserve) * self._interval
        early = self._full_at - room - now
        if early > _ROUNDING:
            return Wait(max(early, _SHORTEST_WAIT), "budget")
        self._full_at = max(self._full_at, now) + self._interval
        return None

    def silence(self, now: float) -> Wait | None:
        """How long the server's wish still forbids requests that do not count, such as a sign-in; None: not at all."""
        if now < self._not_before - _ROUNDING:
            return Wait(max(self._not_before - now, _SHORTEST_WAIT), "retry_after")
        return None

    def hold_off(self, now: float, seconds: float) -> None:
        """The server asked for silence: nothing goes out until `seconds` from `now`, whoever asks."""
        self._not_before = max(self._not_before, now + seconds)
