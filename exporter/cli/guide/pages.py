"""Runs from the account's list, newest start first, page by page and only as far as somebody reads on.

Must not filter by what the API cannot (`exporter.cli.guide.executions` does), nor show anything.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from heapq import merge
from typing import TYPE_CHECKING

from exporter.cli.guide.lookup import FoundRun
from exporter.maia.errors import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.maia.client import MaiaClient
    from exporter.maia.queries import RunQuery

_BARREN_PAGES = 5
"""In a row without a run that is new: rows shift while we page, but not that far."""


def newest_runs(client: MaiaClient, query: RunQuery) -> Iterator[FoundRun]:
    """The runs that `query` matches, each once. Raises MaiaError.

    Several statuses are asked for one by one and merged: not every server takes more than one value. A run without a
    start stands where its list has it.
    """
    queries = [replace(query, statuses=(status,)) for status in query.statuses] or [query]
    seen: set[str] = set()
    for _, found in merge(*(_dated(client, each) for each in queries), key=lambda pair: pair[0], reverse=True):
        if found.run.run_id not in seen:
            seen.add(found.run.run_id)
            yield found


def _dated(client: MaiaClient, query: RunQuery) -> Iterator[tuple[datetime, FoundRun]]:
    """One list; a run without a start takes that of the run before it, so that the list keeps its order."""
    before = datetime.max.replace(tzinfo=UTC)
    for found in _listed(client, query):
        before = min(before, found.run.started_at or before)
        yield before, found


def _listed(client: MaiaClient, query: RunQuery) -> Iterator[FoundRun]:
    seen: set[str] = set()
    tokens: set[str] = set()
    token: str | None = None
    barren = 0
    while True:
        page = client.list_runs(query, token, records=True)
        new = [run for run in page.runs if run.run_id not in seen]
        seen.update(run.run_id for run in new)
        for run in new:
            if not query.statuses or run.status_text in query.statuses:
                yield FoundRun(run.pipeline.project_id, run, page.records[run.run_id])
        token = page.more
        if token is None:
            return
        barren = 0 if new else barren + 1
        if token in tokens or barren >= _BARREN_PAGES:
            raise BadAnswer("list executions: the list goes in a circle; narrow it, or lower --limit")
        tokens.add(token)
