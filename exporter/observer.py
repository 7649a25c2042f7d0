"""Asks the API what one poll, or one page of a sweep, has to know. The answer is whole or it raises `MaiaError`.

Must not keep runs, decide what a run's change means, or write anything down.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from exporter.core import reads
from exporter.core.model import Run, Status
from exporter.core.state import Cursor, Observation, Origin, State, Sweep
from exporter.maia.errors import MaiaError, NotFound, Refused, Retryable, Stopped, Unauthorized
from exporter.maia.queries import RunQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from exporter.maia.answers import RunPage

log = logging.getLogger(__name__)

FORBIDDEN_ONLY = (Status.FORBIDDEN.value,)
UNFINISHED = (Status.RUNNING.value, Status.CANCELLING.value)

ONE_BY_ONE = tuple((status,) for status in UNFINISHED)

FOLLOW_SECONDS = 20.0
"""How long a poll may read runs one by one. What is left keeps its state and comes first in the next poll."""

_SECOND = timedelta(seconds=1)


class RunLists(Protocol):
    """The part of the client that is used here."""

    def list_runs(self, query: RunQuery, token: str | None = None) -> RunPage:
        """One page."""

    def get_run(self, project_id: str, run_id: str) -> Run:
        """One run."""

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Bounds the calls inside."""


@dataclass(frozen=True, slots=True)
class PollReading:
    """What a poll saw, how far it got, and why runs could not be read one by one: these keep their state."""

    observation: Observation
    cursor: Cursor
    unread: tuple[tuple[str, MaiaError], ...] = ()  # (project id, why)


class Observer:
    """Reads the account; remembers how this server takes the `status` filter, and whose turn it is to be read."""

    def __init__(self, client: RunLists, *, lookback: timedelta) -> None:
        self._client = client
        self._lookback = lookback
        # The first poll asks one by one: a server that heeds one value only would hide runs that nothing else shows.
        self._groups: tuple[tuple[str, ...], ...] = ONE_BY_ONE
        self._tried_together = False
        self._polls = 0
        self._last_turn: dict[str, int] = {}  # run id -> in which poll it was last read by itself

    def poll(
        self,
        state: State,
        *,
        server_now: datetime,
        in_scope: Callable[[Run], bool],
        settled: Callable[[Collection[str]], Collection[str]],
    ) -> PollReading:
        """Recent runs, the newest FORBIDDEN ones, all unfinished ones, and one by one what these do not show.

        `settled` tells which run ids are recorded as finished. Costs three calls when nothing happened, the
        first time four. Raises MaiaError when one of the lists is not whole.
        """
        self._polls += 1

        def is_new(runs: Iterable[Run]) -> bool:
            ids = {run.run_id for run in runs if run.run_id not in state.unfinished and in_scope(run)}
            return len(settled(ids)) < len(ids)

        recent, rest = self._recent(state.cursor, server_now, is_new)
        forbidden = self._client.list_runs(RunQuery(statuses=FORBIDDEN_ONLY))
        active = self._unfinished()
        shown = {run.run_id for run in active}
        rows = [*recent, *forbidden.runs, *active]
        ended = {run.run_id for run in rows if run.finished}
        sought = {run.run_id: run for run in recent if run.status_text in UNFINISHED and run.run_id not in shown}
        for run_id, record in state.unfinished.items():
            if record.followed and run_id not in shown and run_id not in ended:
                sought[run_id] = record.run
        for run in recent:
            if not run.finished and run.status_text not in UNFINISHED:
                sought.pop(run.run_id, None)  # no list of unfinished runs shows such a status: this row is its read
        followed, missing, unread = self._follow([run for run in sought.values() if in_scope(run)])
        again = []
        if self._filter_is_partial(followed, active):
            again = self._split("leaves runs out of a list of two statuses")
        observation = Observation(
            origin=Origin.POLL,
            server_now=server_now,
            runs=tuple(run for run in (*rows, *again, *followed) if in_scope(run)),
            missing=frozenset(missing),
        )
        if not self._tried_together:
            self._tried_together, self._groups = True, (UNFINISHED,)
        cursor = reads.after_poll(
            state.cursor,
            recent,
            server_now,
            rest=rest,
            lookback=self._lookback,
            forbidden=forbidden.runs,
            more_forbidden=forbidden.more is not None,
        )
        return PollReading(observation, cursor, tuple(unread))

    def page(self, sweep: Sweep) -> RunPage:
        """The next page of a sweep. A refused token is an error of the class Refused or NotFound."""
        return self.page_after(sweep, sweep.token)

    def page_after(self, sweep: Sweep, token: str | None) -> RunPage:
        """The page of a sweep that `token` names."""
        statuses = FORBIDDEN_ONLY if sweep.origin is Origin.FORBIDDEN else ()
        query = RunQuery(statuses=statuses, started_after=sweep.started_after, started_before=sweep.started_before)
        return self._client.list_runs(query, token)

    def _recent(
        self, cursor: Cursor, server_now: datetime, is_new: Callable[[Iterable[Run]], bool]
    ) -> tuple[list[Run], Sweep | None]:
        """What started since the last poll, and what of it is left for the time between polls."""
        after = reads.recent_after(cursor, server_now, lookback=self._lookback)
        query = RunQuery(started_after=after)
        page = self._client.list_runs(query)
        runs, pages = list(page.runs), 1
        read_up_to = reads.mark(cursor)
        while page.more is not None and (read_up_to is None or self._goes_on(page, runs, read_up_to, is_new)):
            if read_up_to is None or pages == reads.PAGES_IN_A_POLL:
                starts = [run.started_at for run in runs if run.started_at is not None]
                origin = Origin.HISTORY if read_up_to is None else Origin.CATCH_UP
                oldest = min(starts, default=None)
                return runs, Sweep(origin=origin, started_after=after, token=page.more, oldest_read=oldest)
            page = self._client.list_runs(query, page.more)
            runs += page.runs
            pages += 1
        return runs, None

    def _goes_on(
        self, page: RunPage, runs: list[Run], read_up_to: datetime, is_new: Callable[[Iterable[Run]], bool]
    ) -> bool:
        """Whether the next page may hold something new: these do not reach well behind the last poll, or the last of
        them still shows late rows.

        Late rows are those that started before the last poll and yet were not there. Many starts in the very second
        of a poll look like this too.
        """
        if not reads.reaches_behind(runs, read_up_to):
            return True
        return is_new(run for run in page.runs if run.started_at is not None and run.started_at <= read_up_to)

    def _unfinished(self) -> list[Run]:
        """All RUNNING and CANCELLING runs, one list a status group."""
        return [run for group in self._groups for run in self._group(group)]

    def _group(self, group: tuple[str, ...]) -> list[Run]:
        query = RunQuery(statuses=group)
        try:
            page = self._client.list_runs(query)
        except Refused:
            if len(group) == 1:
                raise
            return self._split("refuses two statuses in one call")
        runs = list(page.runs)
        # One row may have moved on while the answer was made; a filter that is not heeded shows again.
        if len(group) > 1 and _foreign(page, group) and (foreign := _foreign(self._client.list_runs(query), group)):
            return runs + self._split(f"answers a list of {' and '.join(group)} with {foreign[0].status_text} runs")
        tokens: set[str] = set()
        while page.more is not None and page.more not in tokens:
            if page.runs and len(_foreign(page, group)) == len(page.runs):
                break  # no filter at all: the rest of the account's past would follow
            tokens.add(page.more)
            page = self._client.list_runs(query, page.more)
            runs += page.runs
        return runs

    def _follow(self, runs: list[Run]) -> tuple[list[Run], list[str], list[tuple[str, MaiaError]]]:
        """Read runs one by one: found, missing, not readable. One that cannot be read does not stop the others."""
        found: list[Run] = []
        missing: list[str] = []
        unread: list[tuple[str, MaiaError]] = []
        # Who waited longest comes first: an answer that never comes must not keep the others waiting for ever.
        turns = {run.run_id: self._last_turn.get(run.run_id, 0) for run in runs}
        self._last_turn = turns
        with self._client.deadline(FOLLOW_SECONDS):
            for run in sorted(runs, key=lambda run: turns[run.run_id]):
                turns[run.run_id] = self._polls
                try:
                    again = self._find(run)
                except NotFound:
                    missing.append(run.run_id)
                except (Stopped, Unauthorized):
                    raise
                except MaiaError as error:
                    unread.append((run.pipeline.project_id, error))
                    if isinstance(error, Retryable):
                        break
                else:
                    if again is None:
                        missing.append(run.run_id)
                    else:
                        found.append(again)
        return found, missing, unread

    def _find(self, run: Run) -> Run | None:
        project_id = run.pipeline.project_id
        if project_id:
            again = self._client.get_run(project_id, run.run_id)
            # The single run may leave out what its row had: it is still the same run.
            return replace(again, run_id=run.run_id).filled_from(run)
        if run.started_at is None:
            return run
        query = RunQuery(started_after=run.started_at - _SECOND, started_before=run.started_at + _SECOND)
        page = self._client.list_runs(query)
        for _ in range(reads.PAGES_IN_A_POLL):
            for other in page.runs:
                if other.run_id == run.run_id:
                    return other
            if page.more is None:
                return None
            page = self._client.list_runs(query, page.more)
        return run

    def _filter_is_partial(self, followed: list[Run], active: list[Run]) -> bool:
        """Whether the list, asked for two statuses, has answered for one of them only; then ask one by one from now."""
        if len(self._groups) > 1:
            return False
        shown = {run.status for run in active}
        for run in followed:
            if run.status_text in UNFINISHED and run.status not in shown:
                alone = self._client.list_runs(RunQuery(statuses=(run.status_text,)))
                return any(other.run_id == run.run_id for other in alone.runs)
        return False

    def _split(self, what: str) -> list[Run]:
        """Ask for one status a call from now on; the unfinished runs, asked for so."""
        self._groups = ONE_BY_ONE
        log.warning("The API %s; asking for one status a call from now on.", what)
        return self._unfinished()


def _foreign(page: RunPage, group: tuple[str, ...]) -> list[Run]:
    """The rows of a page that do not have a status that was asked for."""
    return [run for run in page.runs if run.status_text not in group]
