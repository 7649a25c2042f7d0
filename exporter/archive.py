"""Reads from the record what the page shows beyond the last poll: targets, silences, how runs ended.

Asked when somebody looks, on the page's own thread; reads no more often than once a second. Must not write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.store import cancellations, outbox_views, record, silences
from exporter.store.errors import StoreError
from exporter.web.page.sources import Around, Stories

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from exporter.clock import Clock
    from exporter.core.limits.runs import LimitedRun
    from exporter.core.state import RunRecord
    from exporter.store.database import Database

FRESH_FOR = 1.0
"""Seconds for which targets and silences are good."""

_KEPT = 500
"""Ended runs that are remembered: they do not change any more."""


class Archive:
    """The record, for people who look at it often."""

    def __init__(self, database: Database, *, targets: Callable[[], Collection[str]], clock: Clock) -> None:
        self._database = database
        self._targets = targets
        self._clock = clock
        self._around = Around()
        self._read_at: float | None = None
        self._runs: dict[str, RunRecord] = {}
        self._limited: dict[str, LimitedRun] = {}

    def around(self) -> Around:
        """Targets and silences; where the record cannot be read, those of the last time and why."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= FRESH_FOR:
            self._around, self._read_at = self._look_around(), now
        return self._around

    def stories(self, run_ids: Collection[str]) -> Stories:
        """What the record holds of these runs, which have ended."""
        missing = [run_id for run_id in run_ids if run_id not in self._runs]
        trouble = ""
        if missing:
            try:
                self._remember(missing)
            except StoreError as error:
                trouble = str(error)
        return Stories(
            runs={run_id: self._runs[run_id] for run_id in run_ids if run_id in self._runs},
            limited={run_id: self._limited[run_id] for run_id in run_ids if run_id in self._limited},
            trouble=trouble,
        )

    def _look_around(self) -> Around:
        try:
            with self._database.reading() as connection:
                standing = outbox_views.standing(connection, self._targets())
                active = silences.active(connection, self._clock.now())
        except StoreError as error:
            return Around(targets=self._around.targets, silences=self._around.silences, trouble=str(error))
        return Around(targets=standing.targets, silences=active)

    def _remember(self, run_ids: Collection[str]) -> None:
        with self._database.reading() as connection:
            runs = record.named(connection, run_ids)
            limited = cancellations.past_limit(connection, run_ids)
        if len(self._runs) > _KEPT:
            self._runs.clear()
            self._limited.clear()
        self._runs.update((run_id, found) for run_id, found in runs.items() if found.run.finished)
        self._limited.update((run_id, found) for run_id, found in limited.items() if found.closed_at is not None)
