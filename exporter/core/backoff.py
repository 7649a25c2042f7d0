"""How long to wait before the next try of something that failed. Pure: chance is an argument."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PAUSES = (timedelta(seconds=5), timedelta(seconds=20))
"""After the first and second failure in a row: what is only a hiccup costs seconds."""

SHORTEST_PAUSE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(seconds=100)
"""From the third failure on: at most one try a minute, and never two minutes without one."""


def pause_after(failures: int, *, uniform: Callable[[float, float], float]) -> timedelta:
    """How long to wait after so many failures in a row (at least 1).

    `uniform(low, high)` is the chance that keeps several of us from trying in step: `random.Random().uniform`.
    """
    if failures <= len(FIRST_PAUSES):
        return FIRST_PAUSES[max(failures, 1) - 1]
    return timedelta(seconds=uniform(SHORTEST_PAUSE.total_seconds(), LONGEST_PAUSE.total_seconds()))
