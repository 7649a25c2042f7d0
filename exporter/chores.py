"""What the poller reads between two polls: sweeps, discovery, the hourly tidying. Each piece is committed as it comes.

Must not hold a poll up: it ends when the next one is due, and leaves the polls' share of the request budget alone.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.core import reads
from exporter.core.roster import listed, retire
from exporter.core.state import Change, Observation, Origin, State, Sweep
from exporter.core.tracker import Step, advance
from exporter.maia.errors import MaiaError, NetworkFailed, NotFound, RateLimited, Refused, Stopped, TimedOut
from exporter.store import cancellations, record
from exporter.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from exporter.core.model import Run
    from exporter.desk import Desk
    from exporter.discovery import Listed, Round
    from exporter.maia.answers import RunPage

log = logging.getLogger(__name__)

DISCOVERY_CALLS = 10
"""Steps of discovery between two polls."""

PAGES_IN_A_COMMIT = 25
SECONDS_IN_A_COMMIT = 1.0
PUBLISHED_EVERY = 5.0
"""Seconds: what the past adds is shown as it comes, but not at the price of reading it."""

RESERVE = 10
"""Requests of the budget that are left to polls and cancels."""

LEAST_SECONDS = 5.0
"""What the first piece of work between two polls may take at least, though the next poll may be due sooner."""

TIDY_SECONDS = 3_600.0
PRUNED_AT_ONCE = 5_000


_DISCOVERY = "discovery"


class Chores:
    """Works through what can wait, the most urgent first; keeps its place from one poll to the next."""

    def __init__(self, desk: Desk, *, discovery: timedelta, lookback: timedelta, retention: timedelta) -> None:
        self._desk = desk
        self._discovery_seconds = discovery.total_seconds()
        self._lookback = lookback
        self._retention = retention
        self._round: Round | None = None
        self._discovered = 0  # steps since the last poll
        self._resting: set[str] = set()  # what has failed since the last poll
        self._round_due = 0.0
        self._tidy_due: float | None = None
        self._published_at = 0.0
        self._forbidden_ids: set[str] = set()
        self._forbidden_swept = False  # by a sweep that this process has begun
        self._undated: set[str] = set()
        self._last_error = ""

    def work(self, *, until: float) -> None:
        """Work until the monotonic instant `until`, or until nothing is left. What fails rests until the next time."""
        desk, clock = self._desk, self._desk.clock
        self._resting.clear()
        self._discovered = 0
        left = max(until - clock.monotonic(), LEAST_SECONDS)  # polls that follow close on each other starve nobody
        while not desk.relief.is_set() and left > 0:
            try:
                with desk.client.background(reserve=RESERVE), desk.client.deadline(left):
                    if not self._piece(until):
                        self._last_error = ""
                        break
            except (Stopped, RateLimited):
                break  # the stop has come, or this interval's share of the budget is used up
            except MaiaError as error:
                if clock.monotonic() >= until:
                    break  # cut short by the next poll
                self._tell_failure(error)
                if isinstance(error, NetworkFailed | TimedOut):
                    break
            except StoreError as error:
                desk.store_failed(error)
                break
            self._publish_now_and_then()
            left = until - clock.monotonic()
        desk.account.publish()

    def discover_all(self, *, seconds: float) -> None:
        """A whole round of discovery at once, for `once`; what it could not list within `seconds` is left out."""
        try:
            with self._desk.client.deadline(seconds):
                while self._discover() and self._round is not None:
                    pass
        except MaiaError as error:
            log.warning("Not all published pipelines could be listed: %s", error)
        self._desk.account.publish()

    def _piece(self, until: float) -> bool:
        """The most urgent piece of work; whether there was one."""
        if self._desk.outdated or not self._desk.account.watching:
            return False
        if self._discovered < DISCOVERY_CALLS and _DISCOVERY not in self._resting:
            self._resting.add(_DISCOVERY)
            discovered = self._discover()
            self._resting.discard(_DISCOVERY)
            self._discovered += 1
            if discovered:
                return True
        for sweep in self._desk.account.state.cursor.sweeps:
            if sweep.origin not in self._resting:
                self._resting.add(sweep.origin)
                self._sweep(sweep, until)
                self._resting.discard(sweep.origin)
                return True
        return self._tidy()

    def _tell_failure(self, error: MaiaError) -> None:
        if error.cause != self._last_error:
            log.warning("Reading between polls failed; it goes on after the next poll: %s", error)
        self._last_error = error.cause

    def keep_undated(self, runs: Iterable[Run]) -> None:
        """Remember finished runs without times: such rows may be listed for ever, and must not look new one day."""
        self._undated.update(
            run.run_id for run in runs if run.finished and run.started_at is None and run.finished_at is None
        )

    # Discovery

    def _discover(self) -> bool:
        """One step of discovery; whether there was one to take."""
        now = self._desk.clock.monotonic()
        if self._round is None:
            if now < self._round_due:
                return False
            self._round = self._desk.discovery.round(self._desk.account.state)
        if self._round:
            found = self._round.step()
            self._desk.account.learn_names(self._desk.discovery.names)
            for each in found:
                self._take_in(each)
            return True
        self._round = None
        self._round_due = now + self._discovery_seconds
        self._commit(*retire(self._desk.account.state, self._desk.client.server_now(), retention=self._retention))
        self._desk.show_projects()
        return True

    def _take_in(self, found: Listed) -> None:
        account = self._desk.account
        state, change = listed(
            account.state,
            found.project_id,
            found.environment_name,
            names={name for name in found.names if account.covers_name(found.project_id, found.environment_name, name)},
            now=self._desk.client.server_now(),
            watched_since=account.watched_since,
            whole=found.whole,
        )
        self._commit(state, change)

    # Sweeps

    def _sweep(self, sweep: Sweep, until: float) -> None:
        """The next pages of a sweep."""
        account = self._desk.account
        try:
            pages = self._pages(sweep, until)
        except (Refused, NotFound):
            if sweep.token is None:
                raise
            log.info("The API no longer knows our place in a list; reading on from the oldest start.")
            cursor = reads.without_token(account.state.cursor, sweep)
            self._commit(replace(account.state, cursor=cursor), Change(cursor=cursor))
            return
        runs = [run for page in pages for run in page.runs]
        self.keep_undated(runs)
        if sweep.origin is Origin.FORBIDDEN:
            self._note_forbidden(sweep, runs, ended=pages[-1].more is None)
        self._advance(sweep, runs, more=pages[-1].more)

    def _pages(self, sweep: Sweep, until: float) -> list[RunPage]:
        """As many pages as make a good commit."""
        clock, observer = self._desk.clock, self._desk.observer
        enough = min(until, clock.monotonic() + SECONDS_IN_A_COMMIT)
        pages = [observer.page(sweep)]
        while pages[-1].more is not None and len(pages) < PAGES_IN_A_COMMIT and clock.monotonic() < enough:
            try:
                pages.append(observer.page_after(sweep, pages[-1].more))
            except MaiaError:
                break  # what has been read is whole; the next call meets the error again
        return pages

    def _advance(self, sweep: Sweep, runs: list[Run], *, more: str | None) -> None:
        desk, account = self._desk, self._desk.account
        server_now = desk.client.server_now()
        inside = tuple(run for run in runs if desk.in_scope(run))
        unknown = {run.run_id for run in inside} - account.state.unfinished.keys()
        settled = account.settled(unknown)
        if sweep.origin is Origin.AUDIT:
            settled |= unknown & self._let_go(inside, server_now)
        new = unknown - settled
        cursor = reads.after_page(account.state.cursor, sweep, runs, server_now, more=more, escaped=len(new))
        observed = Observation(origin=sweep.origin, server_now=server_now, runs=inside)
        step = advance(
            account.state,
            observed,
            settled=settled,
            watched_since=account.watched_since,
            cursor=cursor,
            bucket_bounds=account.bucket_bounds,
        )
        desk.commit(step, server_now=server_now, observed=observed)
        desk.act(step, server_now=server_now)
        if more is None:
            _tell_the_end(sweep, escaped=sweep.escaped + len(new))

    def _let_go(self, runs: Iterable[Run], server_now: datetime) -> set[str]:
        """Those that ended before what the record still holds: with a short retention an audit looks behind it."""
        before = server_now - self._retention
        ends = {run.run_id: run.finished_at or run.started_at for run in runs if run.finished}
        return {run_id for run_id, ended_at in ends.items() if ended_at is not None and ended_at < before}

    def _note_forbidden(self, sweep: Sweep, runs: list[Run], *, ended: bool) -> None:
        if sweep.token is None:
            self._forbidden_ids = set()
            self._forbidden_swept = True
        self._forbidden_ids.update(run.run_id for run in runs)
        if ended and self._forbidden_swept and self._tidy_due is None:
            self._tidy_due = self._desk.clock.monotonic()

    # Tidying

    def _tidy(self) -> bool:
        """Let go of old runs; whether there were any. Waits for a whole list of FORBIDDEN runs, which are kept."""
        desk, now = self._desk, self._desk.clock.monotonic()
        if self._tidy_due is None or now < self._tidy_due or desk.account.database is None:
            return False
        before = desk.client.server_now() - self._retention
        keep = self._forbidden_ids | self._undated
        with desk.account.database.transaction() as connection:
            gone = record.prune(connection, before=before, keep=keep, limit=PRUNED_AT_ONCE)
            gone = max(gone, cancellations.prune(connection, before=before, limit=PRUNED_AT_ONCE))
        if gone < PRUNED_AT_ONCE:
            self._tidy_due = now + TIDY_SECONDS
        return gone > 0

    # How

    def _commit(self, state: State, change: Change) -> None:
        if change:
            step, server_now = Step(state, (), change), self._desk.client.server_now()
            self._desk.commit(step, server_now=server_now)
            self._desk.act(step, server_now=server_now)

    def _publish_now_and_then(self) -> None:
        now = self._desk.clock.monotonic()
        if now - self._published_at >= PUBLISHED_EVERY:
            self._published_at = now
            self._desk.account.publish()


def _tell_the_end(sweep: Sweep, *, escaped: int) -> None:
    if sweep.origin is Origin.AUDIT and escaped:
        log.warning("The hourly audit found runs that no poll had seen; they are taken in.", extra={"runs": escaped})
    elif sweep.origin is Origin.HISTORY:
        log.info("History has been read.", extra={"runs": escaped})
    elif sweep.origin is Origin.CATCH_UP:
        log.info("Caught up after an outage.", extra={"runs": escaped})
