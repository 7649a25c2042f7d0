"""What is seen of a run while somebody waits for it: a live line on a terminal, a line a change elsewhere.

Everything goes to standard error. Must not ask the API, nor know what the waiting is for.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from exporter.cli.guide.output import is_terminal, note
from exporter.core.durations import format_duration

_AT_LEAST_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A run at an instant: its status in the API's word, since when it goes, the step it is at ("" if unknown)."""

    status: str
    age: timedelta
    step: str

    def __str__(self) -> str:
        """`RUNNING for 2 min 3 s, at Load GL Postings`."""
        return f"{self.status} for {format_duration(self.age)}" + (f", at {self.step}" if self.step else "")


class Display(Protocol):
    """Shows glimpses until it is closed."""

    def show(self, glimpse: Glimpse) -> None:
        """How the run stands now."""

    def trouble(self, text: str) -> None:
        """Something that does not end the waiting."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def display() -> Display:
    """The display that suits standard error."""
    if not is_terminal(sys.stderr):
        return Lines()
    from exporter.cli.guide.live_line import LiveLine, is_dumb  # rich costs 70 ms, and only a terminal needs it

    return Lines() if is_dumb() else LiveLine()


class Lines:
    """A line when status or step change, and each minute, so that a log shows that somebody still waits."""

    def __init__(self) -> None:
        self._shown: Glimpse | None = None

    def show(self, glimpse: Glimpse) -> None:
        """Write a line if there is something to tell."""
        before = self._shown
        same = before is not None and (before.status, before.step) == (glimpse.status, glimpse.step)
        if before is not None and same and glimpse.age - before.age < _AT_LEAST_EVERY:
            return
        self._shown = glimpse
        note(str(glimpse))

    def trouble(self, text: str) -> None:
        """Write a line."""
        note(text)

    def close(self) -> None:
        """Nothing to leave behind."""
