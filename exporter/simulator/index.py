"""Runs in the order of the API's list, so that a page costs its own length and not that of history.

Must not know what a status means or what time it is.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from exporter.simulator.account import Pipeline, Run

Key = tuple[int, datetime, str]
_Entry = tuple[int, datetime, str, Run]
_FEW_PIPELINES = 64  # beyond it, walking one long list is cheaper than merging many
TOP: Key = (9, datetime.max.replace(tzinfo=UTC), "")
"""Above every run."""


class RunIndex:
    """All runs by start, oldest first inside, newest first outside; undated ones stand where they are told to."""

    def __init__(self, undated_order: str) -> None:
        self._undated_rank = {"last": 0, "created": 1, "first": 2}[undated_order]
        self._all: list[_Entry] = []
        self._by_status: defaultdict[str, list[_Entry]] = defaultdict(list)
        self._by_pipeline: defaultdict[Pipeline, list[_Entry]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._all)

    def key(self, run: Run) -> Key:
        """Where a run stands: rank, instant, id."""
        return (1 if run.dated else self._undated_rank, run.created_at, run.run_id)

    def add(self, run: Run) -> None:
        """Take a run in, under its status of now."""
        entry = (*self.key(run), run)
        for entries in (self._all, self._by_status[run.status], self._by_pipeline[run.pipeline]):
            insort(entries, entry)

    def remove(self, run: Run) -> None:
        """Forget a run."""
        for entries in (self._all, self._by_status[run.status], self._by_pipeline[run.pipeline]):
            del entries[bisect_left(entries, self.key(run))]

    def restatus(self, run: Run, status: str) -> None:
        """Give a run another status."""
        entries = self._by_status[run.status]
        entry = entries.pop(bisect_left(entries, self.key(run)))
        run.status = status
        insort(self._by_status[status], entry)

    def newest_first(
        self,
        *,
        statuses: Collection[str] | None = None,
        pipelines: Collection[Pipeline] | None = None,
        below: Key = TOP,
    ) -> Iterator[Run]:
        """Runs under `below`, newest first, of these statuses and pipelines (None = all)."""
        if pipelines is not None and len(pipelines) <= _FEW_PIPELINES:
            for run in _merge([self._by_pipeline[each] for each in pipelines], below):
                if statuses is None or run.status in statuses:
                    yield run
            return
        lists = [self._all] if statuses is None else [self._by_status[each] for each in statuses]
        for run in _merge(lists, below):
            if pipelines is None or run.pipeline in pipelines:
                yield run


def _merge(lists: list[list[_Entry]], below: Key) -> Iterator[Run]:
    walks = [_walk(entries, below) for entries in lists]
    merged = walks[0] if len(walks) == 1 else heapq.merge(*walks, reverse=True)
    return (entry[3] for entry in merged)


def _walk(entries: list[_Entry], below: Key) -> Iterator[_Entry]:
    for n in range(bisect_left(entries, below) - 1, -1, -1):
        yield entries[n]
