"""Reads page after page until a list is whole, and knows when it never will be.

Must not fetch by itself: the caller's function does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from exporter.maia.answers import Listing, RunPage
from exporter.maia.errors import BadAnswer
from exporter.maia.queries import PAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.core.model import Run
    from exporter.maia.wire_lists import ListPage

T = TypeVar("T")

MOST_PAGES = 10_000
"""Of one list: a million records."""

_BARREN_PAGES = 5
"""In a row without a record that is new: rows shift while we page, but not that far."""


def all_runs(fetch: Callable[[str | None], RunPage], *, tried: str) -> RunPage:
    """Every page from the first as one; each run once, as it was read last. Raises BadAnswer for a circle."""
    runs: dict[str, Run] = {}
    records: dict[str, Mapping[str, Any]] = {}
    pages: list[RunPage] = []
    tokens: set[str] = set()
    barren = 0
    token: str | None = None
    while True:
        page = fetch(token)
        before = len(runs)
        runs.update((run.run_id, run) for run in page.runs)
        records.update(page.records)
        pages.append(page)
        token = page.more
        if token is None:
            break
        barren = 0 if len(runs) > before else barren + 1
        if token in tokens or barren >= _BARREN_PAGES or len(pages) >= MOST_PAGES:
            raise _endless(tried, len(pages))
        tokens.add(token)
    return RunPage(
        runs=tuple(runs.values()),
        rejected=tuple(rejection for page in pages for rejection in page.rejected),
        unrecognised=tuple(note for page in pages for note in page.unrecognised),
        records=records,
    )


def whole_list(fetch: Callable[[int], ListPage[T]], *, tried: str) -> Listing[T]:
    """Every page from 0 as one, equal records once. Raises BadAnswer when the server repeats a page for ever."""
    items: dict[T, Mapping[str, Any]] = {}
    pages: list[ListPage[T]] = []
    seen = 0
    while True:
        page = fetch(len(pages))
        before = len(items)
        for item, record in page.items:
            items.setdefault(item, record)
        pages.append(page)
        seen += page.length
        if _is_last(page, seen):
            break
        if (page.items and len(items) == before) or len(pages) >= MOST_PAGES:
            raise _endless(tried, len(pages))
    return Listing(
        items=tuple(items),
        records=tuple(items.values()),
        rejected=tuple(rejection for page in pages for rejection in page.rejected),
        unrecognised=tuple(note for page in pages for note in page.unrecognised),
    )


def _is_last(page: ListPage[T], seen: int) -> bool:
    # `total` where there is one. The guide's own example says size 0 and total 0 beside a record: then a page that is
    # not full is the last. `size` is the server's, which may give less than we ask for.
    if page.length == 0:
        return True
    if page.total:
        return seen >= page.total
    return page.length < (page.size or PAGE_LIMIT)


def _endless(tried: str, pages: int) -> BadAnswer:
    return BadAnswer(
        f"{tried}: the list goes in a circle or never ends (given up after {pages} pages); "
        "nothing of it was used, and it is read again later"
    )
