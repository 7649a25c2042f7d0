"""Asks the API what one poll, or one page of a sweep, has to know. The answer is whole or it raises `MaiaError`.

Must not keep runs, decide what a run's change means, or write anything down.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from exporter.core import reads
from exporter.core.model import Run, Status
from exporter.core.state import Cursor, Observation, Origin, State, Sweep
from exporter.maia.errors import Forbidden, MaiaError, NotFound, Refused
from exporter.maia.queries import RunQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta

    from exporter.maia.answers import RunPage

log = logging.getLogger(__name__)

FORBIDDEN_ONLY = (Status.FORBIDDEN.value,)
UNFINISHED = (Status.RUNNING.value, Status.CANCELLING.value)


class RunLists(Protocol):
    """The part of the client that is used here."""

    def list_runs(self, query: RunQuery, token: str | None = None) -> RunPage:
        """One page."""

    def get_run(self, project_id: str, run_id: str) -> Run:
        """One run."""

    def server_now(self) -> datetime:
        """The server's clock."""


@dataclass(frozen=True, slots=True)
class PollReading:
    """What a poll saw, how far it got, and the runs that could not be read one by one."""

    observation: Observation
    cursor: Cursor
    refused: tuple[tuple[str, MaiaError], ...] = ()  # (project id, why)


class Observer:
    """Reads the account; remembers only how this server takes the `status` filter."""

    def __init__(self, client: RunLists, *, lookback: timedelta) -> None:
        self._client = client
        self._lookback = lookback
        self._groups: tuple[tuple[str, ...], ...] = (UNFINISHED,)

    def poll(self, state: State, *, server_now: datetime, in_scope: Callable[[Run], bool]) -> PollReading:
        """Recent runs, the newest FORBIDDEN ones, all unfinished ones, and one by one what these do not show.

        Costs three calls when nothing happened. Raises MaiaError when one of the three lists is not whole.
        """
        recent, rest = self._recent(state.cursor, server_now)
        forbidden = self._client.list_runs(RunQuery(statuses=FORBIDDEN_ONLY))
        active = self._unfinished()
        shown = {run.run_id for run in active}
        rows = [*recent, *forbidden.runs, *active]
        ended = {run.run_id for run in rows if run.finished}
        sought = {run.run_id: run for run in recent if not run.finished and run.run_id not in shown}
        for run_id, record in state.unfinished.items():
            if record.followed and run_id not in shown and run_id not in ended:
                sought[run_id] = record.run
        followed, missing, refused = self._follow([run for run in sought.values() if in_scope(run)])
        if self._filter_is_partial(followed, active):
            active = self._unfinished()
        observation = Observation(
            origin=Origin.POLL,
            server_now=server_now,
            runs=tuple(run for run in (*rows, *active, *followed) if in_scope(run)),
            missing=frozenset(missing),
        )
        cursor = reads.after_poll(state.cursor, recent, server_now, rest=rest, lookback=self._lookback)
        return PollReading(observation, cursor, tuple(refused))

    def page(self, sweep: Sweep) -> RunPage:
        """The next page of a sweep. A refused token is an error of the class Refused or NotFound."""
        return self.page_after(sweep, sweep.token)

    def page_after(self, sweep: Sweep, token: str | None) -> RunPage:
        """The page of a sweep that `token` names."""
        statuses = FORBIDDEN_ONLY if sweep.origin is Origin.FORBIDDEN else ()
        query = RunQuery(statuses=statuses, started_after=sweep.started_after, started_before=sweep.started_before)
        return self._client.list_runs(query, token)

    def _recent(self, cursor: Cursor, server_now: datetime) -> tuple[list[Run], Sweep | None]:
        after = reads.recent_after(cursor, server_now, lookback=self._lookback)
        query = RunQuery(started_after=after)
        page = self._client.list_runs(query)
        runs, pages = list(page.runs), 1
        while page.more is not None and reads.needs_another_page(cursor, page.runs, pages_read=pages):
            page = self._client.list_runs(query, page.more)
            runs += page.runs
            pages += 1
        return runs, self._rest(cursor, page, runs, after)

    def _rest(self, cursor: Cursor, page: RunPage, runs: list[Run], after: datetime) -> Sweep | None:
        """What of the recent runs is left for the time between polls."""
        if page.more is None:
            return None
        read_up_to = reads.mark(cursor)
        if read_up_to is None:
            origin = Origin.HISTORY
        elif reads.reaches_beyond(page.runs, read_up_to):
            origin = Origin.CATCH_UP
        else:
            return None
        starts = [run.started_at for run in runs if run.started_at is not None]
        return Sweep(origin=origin, started_after=after, token=page.more, oldest_read=min(starts, default=None))

    def _unfinished(self) -> list[Run]:
        """All RUNNING and CANCELLING runs, one list a status group."""
        try:
            return [run for group in self._groups for run in self._group(group)]
        except Refused:
            if len(self._groups) > 1:
                raise
            self._split("refuses two statuses in one call")
            return self._unfinished()

    def _group(self, group: tuple[str, ...]) -> list[Run]:
        query = RunQuery(statuses=group)
        runs: list[Run] = []
        tokens: set[str] = set()
        token = None
        while True:
            page = self._client.list_runs(query, token)
            runs += page.runs
            foreign = [run for run in page.runs if run.status_text not in group]
            if foreign and len(self._groups) == 1:
                self._split(f"answers a list of {' and '.join(group)} with {foreign[0].status_text} runs")
                return runs + self._unfinished()
            if page.more is None or len(foreign) == len(page.runs):
                return runs
            if page.more in tokens:
                return runs
            tokens.add(page.more)
            token = page.more

    def _follow(self, runs: Iterable[Run]) -> tuple[list[Run], list[str], list[tuple[str, MaiaError]]]:
        """Read runs one by one. What cannot be read now keeps its state; a refusal does not stop the others."""
        found: list[Run] = []
        missing: list[str] = []
        refused: list[tuple[str, MaiaError]] = []
        for run in runs:
            try:
                again = self._find(run)
            except NotFound:
                missing.append(run.run_id)
            except Forbidden as error:
                refused.append((run.pipeline.project_id, error))
            else:
                if again is None:
                    missing.append(run.run_id)
                else:
                    found.append(again)
        return found, missing, refused

    def _find(self, run: Run) -> Run | None:
        project_id = run.pipeline.project_id
        if project_id:
            again = self._client.get_run(project_id, run.run_id)
            # The single run may leave out what its row had: it is still the same run.
            return replace(again, run_id=run.run_id)
        if run.started_at is None:
            return run
        page = self._client.list_runs(RunQuery(started_after=run.started_at, started_before=run.started_at))
        return next((other for other in page.runs if other.run_id == run.run_id), None)

    def _filter_is_partial(self, followed: list[Run], active: list[Run]) -> bool:
        """Whether the list, asked for two statuses, has answered for one of them only; then ask one by one from now."""
        if len(self._groups) > 1:
            return False
        shown = {run.status for run in active}
        for run in followed:
            if run.status_text in UNFINISHED and run.status not in shown:
                alone = self._client.list_runs(RunQuery(statuses=(run.status_text,)))
                if any(other.run_id == run.run_id for other in alone.runs):
                    self._split(f"leaves {run.status_text} runs out of a list of two statuses")
                    return True
        return False

    def _split(self, what: str) -> None:
        self._groups = tuple((status,) for status in UNFINISHED)
        log.warning("The API %s; asking for one status a call from now on.", what)
