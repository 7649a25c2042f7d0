"""How far we have read and what to read next: pure arithmetic on the `Cursor`.

The list is ordered by start, newest first. A poll reads what started since the last one, less an overlap; what it
cannot read in a few pages, and everything that is only checked now and then, is a `Sweep`, read between polls.
Must not know of HTTP, of single runs, or of the store.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.core.state import Cursor, Origin, Sweep

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from exporter.core.model import Run

OVERLAP = timedelta(minutes=10)
"""How late a row may surface and still be read by the next poll."""

SWEEP_EVERY = timedelta(hours=1)
UNDATED_EVERY = timedelta(seconds=20)
"""Between two sweeps of FORBIDDEN runs where some have no times and there is more than a page of them: no list by time
shows a new one, and nobody knows on which page it stands."""

AUDIT_SPAN = timedelta(days=1)

BEHIND_THE_MARK = 75
"""Rows from before the last poll that a poll reads, if there are as many within the overlap: most of a page. Late rows
are among them, however many new ones stand before them after an outage."""

PAGES_IN_A_POLL = 10
"""Pages of recent runs that a poll reads itself; after an outage the rest follows between polls."""

HISTORY_SWEEPS = (Origin.HISTORY, Origin.FORBIDDEN)
"""Sweeps that a new scope begins anew."""


def mark(cursor: Cursor) -> datetime | None:
    """Up to which start everything has been read; None before the first poll.

    The newest start seen or the last poll, whichever is earlier: the one protects against a `Date` that runs ahead
    of the starts, the other against a run that claims to start in the future.
    """
    if cursor.polled_at is None or cursor.newest_start_at is None:
        return cursor.polled_at
    return min(cursor.polled_at, cursor.newest_start_at)


def recent_after(cursor: Cursor, server_now: datetime, *, lookback: timedelta) -> datetime:
    """From which start on the next poll lists recent runs."""
    horizon = server_now - lookback
    read_up_to = mark(cursor)
    return horizon if read_up_to is None else max(horizon, read_up_to - OVERLAP)


def overdue_since(cursor: Cursor, server_now: datetime, *, lookback: timedelta) -> datetime | None:
    """The last poll, if it lies further back than `lookback`: what started in between may be missed."""
    if cursor.polled_at is not None and cursor.polled_at < server_now - lookback:
        return cursor.polled_at
    return None


def reaches_behind(runs: Iterable[Run], read_up_to: datetime) -> bool:
    """Whether enough of what had been read has been read again to meet what has surfaced late among it.

    Undated rows say nothing about how far the pages go.
    """
    behind = sum(run.started_at is not None and run.started_at <= read_up_to for run in runs)
    return behind >= BEHIND_THE_MARK


def after_poll(
    cursor: Cursor,
    runs: Iterable[Run],
    server_now: datetime,
    *,
    rest: Sweep | None,
    lookback: timedelta,
    forbidden: Iterable[Run] = (),
    more_forbidden: bool = False,
) -> Cursor:
    """The cursor after a poll that has read the recent `runs` and has left `rest` for later.

    It has read the first page of `forbidden` runs too, and whether there are more.
    """
    starts = [run.started_at for run in runs if run.started_at is not None and run.started_at <= server_now]
    newest = max((*starts, cursor.newest_start_at or server_now - lookback))
    missed = overdue_since(cursor, server_now, lookback=lookback)
    sweeps = (*cursor.sweeps, rest) if rest else cursor.sweeps
    cursor = replace(
        cursor,
        newest_start_at=newest,
        polled_at=max(server_now, cursor.scopes[-1].since) if cursor.scopes else server_now,
        sweeps=sweeps,
        audited_at=cursor.audited_at or server_now,
        possibly_missed=cursor.possibly_missed + (missed is not None),
        possibly_missed_at=server_now if missed is not None else cursor.possibly_missed_at,
        undated_forbidden=cursor.undated_forbidden or _some_undated(forbidden),
    )
    return with_due_sweeps(cursor, server_now, lookback=lookback, more_forbidden=more_forbidden)


def with_due_sweeps(
    cursor: Cursor, server_now: datetime, *, lookback: timedelta, more_forbidden: bool = False
) -> Cursor:
    """The cursor with the sweeps that are due and not under way, the most urgent sweep first."""
    under_way = {sweep.origin for sweep in cursor.sweeps}
    due = []
    often = more_forbidden and cursor.undated_forbidden
    forbidden_every = UNDATED_EVERY if often else SWEEP_EVERY
    if Origin.FORBIDDEN not in under_way and _due(cursor.forbidden_swept_at, server_now, forbidden_every):
        due.append(Sweep(origin=Origin.FORBIDDEN))
    if Origin.AUDIT not in under_way and _due(cursor.audited_at, server_now, SWEEP_EVERY):
        begun = cursor.scopes[-1].since if cursor.scopes else server_now
        # What lies before the history that was read has not escaped anybody.
        after = max(server_now - AUDIT_SPAN, begun - lookback)
        due.append(Sweep(origin=Origin.AUDIT, started_after=after, started_before=server_now))
        cursor = replace(cursor, audited_at=server_now)
    sweeps = tuple(sorted((*cursor.sweeps, *due), key=lambda sweep: _URGENCY.index(sweep.origin)))
    return replace(cursor, sweeps=sweeps) if sweeps != cursor.sweeps else cursor


def after_page(
    cursor: Cursor, sweep: Sweep, runs: Iterable[Run], server_now: datetime, *, more: str | None, escaped: int = 0
) -> Cursor:
    """The cursor after the next page(s) of `sweep`; `more` is the API's token for the one after, None at the end."""
    others = tuple(other for other in cursor.sweeps if other != sweep)
    runs = tuple(runs)
    if sweep.origin is Origin.FORBIDDEN and not cursor.undated_forbidden and _some_undated(runs):
        cursor = replace(cursor, undated_forbidden=True)
    if more is None:
        swept_at = server_now if sweep.origin is Origin.FORBIDDEN else cursor.forbidden_swept_at
        return replace(cursor, sweeps=others, forbidden_swept_at=swept_at)
    starts = [run.started_at for run in runs if run.started_at is not None]
    if sweep.oldest_read is not None:
        starts.append(sweep.oldest_read)
    moved = replace(sweep, token=more, oldest_read=min(starts, default=None), escaped=sweep.escaped + escaped)
    return replace(cursor, sweeps=(moved, *others))


def without_token(cursor: Cursor, sweep: Sweep) -> Cursor:
    """The cursor after the API has refused the sweep's token: it goes on from the oldest start it has read.

    FORBIDDEN runs may be undated and sort anywhere, so that only the token knows the place: they are read again.
    """
    again = replace(sweep, token=None, oldest_read=None)
    if sweep.origin is not Origin.FORBIDDEN:
        again = replace(again, started_before=sweep.oldest_read or sweep.started_before)
    sweeps = tuple(again if other == sweep else other for other in cursor.sweeps)
    return replace(cursor, sweeps=sweeps)


_URGENCY = (Origin.CATCH_UP, Origin.FORBIDDEN, Origin.HISTORY, Origin.AUDIT, Origin.POLL)


def _due(last: datetime | None, server_now: datetime, every: timedelta) -> bool:
    return last is None or server_now - last >= every


def _some_undated(runs: Iterable[Run]) -> bool:
    return any(run.started_at is None for run in runs)
