"""Thread 1, the owner of the API: observe, advance, decide, commit, publish, act, wait.

Between two polls it reads what can wait (`exporter.chores`). Expected errors keep what is shown and are counted;
anything else ends the thread, and with it the process: a half-alive monitor is worse than a restart.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from exporter.core.events import RunsPossiblyMissed
from exporter.core.reads import overdue_since
from exporter.core.scope import watched_since
from exporter.core.tracker import Step, advance
from exporter.maia.errors import Forbidden, MaiaError, Stopped
from exporter.store.errors import NotLeading, StoreError

if TYPE_CHECKING:
    from datetime import timedelta

    from exporter.chores import Chores
    from exporter.desk import Desk
    from exporter.observer import PollReading

log = logging.getLogger(__name__)

POLL_SECONDS = 120.0
"""How long one poll may take altogether; what is slower than this is an outage."""


class Poller:
    """Polls every `interval`, from start to start; a poll that is late is skipped, not made up for."""

    def __init__(self, desk: Desk, chores: Chores, *, interval: timedelta, lookback: timedelta) -> None:
        self._desk = desk
        self._chores = chores
        self._interval = interval.total_seconds()
        self._lookback = lookback
        self._last_error = ""

    def run(self) -> None:
        """Poll until somebody relieves us."""
        clock, relief = self._desk.clock, self._desk.relief
        due = clock.monotonic()
        while not relief.is_set():
            self.poll()
            now = clock.monotonic()
            due += self._interval * max(1, -(-(now - due) // self._interval))
            self._chores.work(until=due)
            clock.wait(due - clock.monotonic(), relief)

    def poll(self) -> bool:
        """One poll; whether it was good."""
        desk = self._desk
        began = desk.clock.monotonic()
        desk.poll_began()
        cause, error, whole = "", "", True
        try:
            if desk.outdated:
                desk.take_up()
            with desk.client.deadline(POLL_SECONDS):
                reading, step = self._read()
                self._conclude(reading, step)
            whole = not reading.unread
        except Stopped:
            return False
        except MaiaError as failure:
            cause, error = failure.cause.value, str(failure)
        except NotLeading as failure:
            desk.store_failed(failure)
            return False
        except StoreError as failure:
            desk.store_failed(failure)
            cause, error = "store", str(failure)
        seconds = desk.clock.monotonic() - began
        desk.poll_ended(cause=cause, error=error)
        if cause:
            desk.ours.poll_failed(cause, desk.clock.now(), seconds=seconds)
        else:
            desk.ours.poll_succeeded(desk.clock.now(), seconds=seconds, complete=whole)
            desk.readiness.has_something_to_show()
            if not whole:
                cause, error = "incomplete", str(reading.unread[0][1])
        self._log_change_of(cause, error)
        desk.account.publish()
        return not cause

    def _read(self) -> tuple[PollReading, Step]:
        """Read the account and take the step, both without effect."""
        desk, account = self._desk, self._desk.account
        desk.discovery.begin_poll()
        if not desk.discovery.listed:
            desk.list_projects()
        server_now = desk.client.server_now()
        reading = desk.observer.poll(
            account.entered(server_now)[0], server_now=server_now, in_scope=desk.in_scope, settled=account.settled
        )
        # Once more: what was read may have brought names of projects.
        state, entry = account.entered(server_now)
        step = advance(
            state,
            reading.observation,
            settled=account.settled({run.run_id for run in reading.observation.runs} - state.unfinished.keys()),
            watched_since=lambda key: watched_since(state.cursor, key, state.project_names),
            cursor=reading.cursor,
            bucket_bounds=account.bucket_bounds,
        )
        step = Step(step.state, step.events, entry.then(step.change))
        missed = overdue_since(account.state.cursor, server_now, lookback=self._lookback)
        if missed is not None:
            events = (*step.events, RunsPossiblyMissed(since=missed, until=server_now - self._lookback))
            step = Step(step.state, events, step.change)
        return reading, step

    def _conclude(self, reading: PollReading, step: Step) -> None:
        """Commit first, then show, then act."""
        desk = self._desk
        server_now = reading.observation.server_now
        desk.commit(step, server_now=server_now, observed=reading.observation)
        self._chores.keep_undated(reading.observation.runs)
        refused = [project_id for project_id, error in reading.unread if isinstance(error, Forbidden)]
        desk.discovery.refused = frozenset(refused)
        desk.show_projects()
        desk.account.publish()
        desk.act(step, server_now=server_now)

    def _log_change_of(self, cause: str, error: str) -> None:
        """The first of a row of failures, and its end."""
        if cause == "incomplete" and cause != self._last_error:
            log.error("Not all unfinished runs could be read; the others stay as they were. %s", error)
        elif cause and cause != self._last_error:
            log.error("The poll failed; what was found before stays. %s", error, extra={"cause": cause})
        elif self._last_error and not cause:
            log.info("Polls work again.", extra={"after": self._last_error})
        self._last_error = cause
