"""Looks back over the record: what each limit would have done. For the lines at the start and for `limits replay`.

Must not ask the API, nor change anything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.core.limits.replay import Replayed, replay, shortest, summary
from exporter.store.past_runs import past_runs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from exporter.core.limits.rules import Coverage
    from exporter.core.model import PipelineKey

START_DAYS = 30
"""How far the lines at the start look back."""


def replayed(connection: Connection, coverage: Coverage, *, since: datetime, now: datetime) -> tuple[Replayed, ...]:
    """What each limit would have done to the runs that started since `since`. Raises StoreError."""
    threshold = shortest(coverage.rules)
    if threshold is None:
        return ()
    return replay(coverage, past_runs(connection, since=since, now=now, longer_than=threshold))


def start_lines(
    connection: Connection, coverage: Coverage, pipelines: Iterable[PipelineKey], *, now: datetime
) -> list[tuple[Replayed, str]]:
    """For each limit what there is to say at the start, with the look back that it comes from. Raises StoreError."""
    matched = coverage.matched_pipelines(pipelines)
    since = now - timedelta(days=START_DAYS)
    return [
        (each, summary(each, pipelines=len(matched[each.rule.name]), over=f"{START_DAYS} days"))
        for each in replayed(connection, coverage, since=since, now=now)
    ]
