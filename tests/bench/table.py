"""One row a number: what we take, what the reference takes by turns with us, the ratio and its spread, the goal.

Must not measure anything.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass


class MissingProgramError(Exception):
    """A Debian package that a part needs is not there."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of everything: the whole measurement, or a glance that shows that it works."""

    quick: bool = False

    def __call__(self, whole: int, glance: int) -> int:
        return glance if self.quick else whole

    @property
    def repeats(self) -> int:
        """Turns of each side."""
        return self(7, 2)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a number has to keep: ours, or its ratio to the reference; at most that, or at least."""

    limit: float
    of_ratio: bool = False
    at_least: bool = False

    def met(self, row: Row) -> bool:
        value = row.ratio if self.of_ratio else row.median
        return value >= self.limit if self.at_least else value <= self.limit

    def text(self, unit: str) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:g} ×" if self.of_ratio else f"{sign} {shown(self.limit)} {unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number, measured again and again; `theirs` are the reference's turns, in the same order."""

    what: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    against: str = ""
    goal: Goal | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.ours)

    @property
    def ratios(self) -> list[float]:
        return [our / their for our, their in zip(self.ours, self.theirs, strict=True) if their]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def missed(self) -> bool:
        return self.goal is not None and not self.goal.met(self)

    def cells(self) -> tuple[str, ...]:
        """What, ours with its spread, the reference, the ratio with its spread, the goal."""
        ours = f"{shown(self.median)} {self.unit}{_spread(self.ours)}"
        theirs = f"{shown(statistics.median(self.theirs))} {self.unit}: {self.against}" if self.theirs else "—"
        ratio = f"{shown(self.ratio)}{_spread(self.ratios)}" if self.theirs and self.ratios else "—"
        goal = "—" if self.goal is None else f"{self.goal.text(self.unit)} {'**missed**' if self.missed else 'met'}"
        return self.what, ours, theirs, ratio, goal


HEADING = ("what", "ours: median (spread)", "reference", "ours ÷ reference (spread)", "goal")


def line(cells: Iterable[str]) -> str:
    """A line of the table as it stands in the README."""
    return f"| {' | '.join(cells)} |"


def by_turns(
    ours: Callable[[], float], theirs: Callable[[], float], repeats: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure both, again and again, each first every other time: what disturbs one disturbs the other."""
    pairs = []
    for turn in range(repeats):
        first, second = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        one, other = first(), second()
        pairs.append((one, other) if turn % 2 == 0 else (other, one))
    return tuple(one for one, _ in pairs), tuple(other for _, other in pairs)


def shown(value: float) -> str:
    """A number in three digits or so."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _spread(values: Iterable[float]) -> str:
    values = list(values)
    return f" ({shown(min(values))} to {shown(max(values))})" if len(values) > 1 else ""
