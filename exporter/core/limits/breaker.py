"""The circuit breaker of all limits: so many polite requests in a rolling hour, then none until a person says so.

A wrong wildcard then costs a few runs, not all. Must not count what mode observe would have asked for.
"""

from __future__ import annotations

# The names in annotations are imported for good: the store's decoder reads the annotations.
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Closed, unless `opened_at` says since when it is open. `asked_at` are the requests of the last hour.

    Instants are the API server's.
    """

    opened_at: datetime | None = None
    asked_at: tuple[datetime, ...] = ()  # when each polite request was decided, ascending

    @property
    def is_open(self) -> bool:
        """Whether no run may be asked any more."""
        return self.opened_at is not None

    def room(self, now: datetime, *, max_per_hour: int) -> int:
        """How many runs may be asked now."""
        return 0 if self.is_open else max(0, max_per_hour - len(self._recent(now)))

    def after_asking(self, now: datetime) -> Breaker:
        """One more was decided."""
        return replace(self, asked_at=(*self._recent(now), now))

    def without(self, decided_at: datetime) -> Breaker:
        """One that was decided then came to nothing: it was never sent."""
        asked_at = list(self.asked_at)
        if decided_at in asked_at:
            asked_at.remove(decided_at)
        return replace(self, asked_at=tuple(asked_at))

    def opened(self, now: datetime) -> Breaker:
        """One too many: nobody is asked from now on."""
        return replace(self, opened_at=now)

    def _recent(self, now: datetime) -> tuple[datetime, ...]:
        # An instant in the future counts: a clock that was set back must not make room.
        return tuple(at for at in self.asked_at if at > now - WINDOW)
