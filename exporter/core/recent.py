"""The runs of a pipeline that finished last, for people: how they went, and how long they took.

Packed into one text a pipeline: thirty of each of ten thousand pipelines are too many to be objects. Whoever looks
gets them unpacked. Must not know what a run's end means.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from exporter.core.model import Status

FinishOrder = tuple[float, str]
"""Sorts runs by when they finished: (end, else start, else first seen, as Unix seconds; run id)."""

RECENT_KEPT = 30
"""How many of them are kept of each pipeline."""

_STATUSES = {status.value: status for status in Status}
_text = json.encoder.encode_basestring_ascii


class RecentRun(NamedTuple):
    """One of them."""

    finished: float  # with the id its FinishOrder
    run_id: str
    status: Status
    seconds: float | None  # wall time; None when it lacks a time


class RecentRuns:
    """The `RECENT_KEPT` that finished last, ascending; `packed` is a JSON array a line. Never changed once made."""

    __slots__ = ("packed",)

    def __init__(self, packed: str = "") -> None:
        self.packed = packed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecentRuns) and self.packed == other.packed

    def __hash__(self) -> int:
        return hash(self.packed)

    def __repr__(self) -> str:
        return f"RecentRuns({self.packed!r})"

    @classmethod
    def of(cls, runs: Iterable[Iterable[Any]]) -> RecentRuns:
        """Those of these, which ascend."""
        return cls("\n".join([_line(*run) for run in runs][-RECENT_KEPT:]))

    def __iter__(self) -> Iterator[RecentRun]:
        """All of them, made now."""
        for finished, run_id, status, seconds in json.loads("[" + self.packed.replace("\n", ",") + "]"):
            yield RecentRun(finished, run_id, _STATUSES.get(status, Status.UNKNOWN), seconds)

    @property
    def last(self) -> RecentRun | None:
        """The one that finished last."""
        return next(iter(RecentRuns(self.packed.rpartition("\n")[2])), None)

    def with_run(self, run: RecentRun) -> RecentRuns:
        """Them with one more, in its place; if that makes one too many, without the oldest."""
        lines = self.packed.split("\n") if self.packed else []
        place = bisect_right(lines, run.finished, key=_finished)
        while place and _finished(lines[place - 1]) == run.finished and _run_id(lines[place - 1]) > run.run_id:
            place -= 1
        if place == 0 and len(lines) == RECENT_KEPT:
            return self
        lines.insert(place, _line(*run))
        return RecentRuns("\n".join(lines[-RECENT_KEPT:]))


def _line(finished: float, run_id: str, status: str, seconds: float | None) -> str:
    # By hand: this is done for every run of a long past, and an encoder takes twice as long.
    return f"[{finished!r},{_text(run_id)},{_text(status)},{'null' if seconds is None else repr(seconds)}]"


def _finished(line: str) -> float:
    # Without decoding the rest: the first read of a long past asks this a million times.
    return float(line[1 : line.index(",")])


def _run_id(line: str) -> str:
    run_id: str = json.loads(line)[1]
    return run_id
