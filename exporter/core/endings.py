"""What the ends of one pipeline's runs mean, taken in the order in which they finished: broken, still broken, mended.

Pure. Rows may be read late and in any order. Must not know of routes: it says what happened and who knows of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.core.model import FAILURE_STATUSES, Status
from exporter.core.pipelines import finish_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.core.recent import FinishOrder
    from exporter.core.state import FailureStreak, PipelineState, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class InARow:
    """Failures without a success between them."""

    count: int
    since: datetime | None  # when the first of them finished; None when there is none


def row_of(streak: FailureStreak) -> InARow:
    """All failures of a streak."""
    since = None if streak.since is None else datetime.fromtimestamp(streak.since, UTC)
    return InARow(count=streak.length, since=since)


class Ledger:
    """The failures and successes of one pipeline, known before a step or found by it, in finish order."""

    def __init__(self, old: PipelineState | None, new: PipelineState, found: Iterable[RunRecord]) -> None:
        self.last_success = old.last_success if old else None  # known before
        self.newest_failure = old.streak.orders[-1] if old and old.streak.orders else None  # after it, known before
        failures, successes = {*new.streak.orders}, set()
        if old:
            failures |= {*old.streak.orders}
        for success in (self.last_success, new.last_success):
            if success is not None:
                successes.add(success)
        for record in found:
            if record.run.status in FAILURE_STATUSES:
                failures.add(finish_order(record))
            elif record.run.status is Status.SUCCESS:
                successes.add(finish_order(record))
        self._failures = sorted(failures)
        self._successes = sorted(successes)
        self._older = old.streak.older if old else 0
        self._older_since = old.streak.since if old else None

    def in_a_row(self, order: FinishOrder) -> InARow:
        """The failures up to and including `order`, after the success before it."""
        at = bisect_left(self._successes, order)
        success = self._successes[at - 1] if at else None
        first = bisect_right(self._failures, success) if success is not None else 0
        count = bisect_right(self._failures, order) - first
        if not count:
            return InARow(count=0, since=None)
        since = self._failures[first][0]
        if success == self.last_success:
            count += self._older
            since = min(since, self._older_since or since)
        return InARow(count=count, since=datetime.fromtimestamp(since, UTC))

    def succeeded_after(self, order: FinishOrder) -> datetime | None:
        """When the last success that followed `order` finished; None where none has."""
        newest = self._successes[-1] if self._successes else None
        return datetime.fromtimestamp(newest[0], UTC) if newest is not None and newest > order else None

    def broken_after(self, order: FinishOrder) -> bool:
        """Whether a failure later than `order` was known before the step: then a success there mends nothing."""
        return self.newest_failure is not None and order < self.newest_failure
