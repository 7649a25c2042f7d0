"""Holds the state of the account: what is committed is what is held, and what is held is what is shown.

The poller's thread alone changes it. Must not read the API or decide what a change means.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.core.model import PipelineKey
from exporter.core.scope import begin_scope, covers, rescope, watched_since
from exporter.core.state import Change, State
from exporter.metrics.snapshot import Snapshot
from exporter.store import record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from exporter.config.root import Config
    from exporter.core.globs import Scope
    from exporter.core.model import Run
    from exporter.metrics.exposition import Exposition
    from exporter.metrics.limits import PipelineLimits
    from exporter.store.database import Database


class Account:
    """One account's `State`, kept in `database`; without one (`once`) it is forgotten at the end."""

    def __init__(self, database: Database | None, exposition: Exposition, config: Config) -> None:
        self.database = database
        self.scope: Scope = config.poll.scope
        self.bucket_bounds = config.metrics.duration_buckets
        self._max_pipelines = config.metrics.max_pipelines
        self._lookback: timedelta = config.poll.lookback
        self._exposition = exposition
        self.state = State()
        self.limits_shown: Callable[[State], Mapping[PipelineKey, PipelineLimits]] = lambda _: {}
        self.expected: Callable[[State], Mapping[PipelineKey, float]] = lambda _: {}
        self._inside: tuple[object, object] = (None, None)  # the pipelines and names last found to be in scope
        self._covered: dict[PipelineKey, bool] = {}  # what was asked before, under these names
        self._covered_by: Mapping[str, str] | None = None

    def load(self) -> None:
        """Take up the record. Shows nothing yet: others have theirs to take up. Raises StoreError."""
        if self.database is not None:
            with self.database.reading() as connection:
                state = record.load(connection)
            # What left the scope earlier is still in the record; what leaves it now, `entered` has to see.
            self.state = rescope(state)[0] if self._in_scope_of(state) else state

    @property
    def known(self) -> bool:
        """Whether the record holds a good poll, of this process or an earlier one."""
        return self.state.cursor.polled_at is not None

    @property
    def watching(self) -> bool:
        """Whether a good poll has ended in the config's scope: before it, nothing but a poll has a meaning."""
        return self._in_scope_of(self.state) and not self.state.cursor.first_poll_of_scope

    def entered(self, server_now: datetime) -> tuple[State, Change]:
        """The state within the config's scope, which begins now where it is not the record's already.

        Nothing is held or written yet: a scope begins with its first good poll, or not at all.
        """
        state = self.state
        cursor = begin_scope(state.cursor, self.scope, server_now, lookback=self._lookback)
        inside = (state.pipelines, state.project_names)
        if cursor is state.cursor and all(new is old for new, old in zip(inside, self._inside, strict=True)):
            return state, Change()
        if cursor is state.cursor and all(self.covers(key) for key in state.pipelines):
            self._inside = inside
            return state, Change()
        return rescope(replace(state, cursor=cursor))

    def settled(self, run_ids: Collection[str]) -> frozenset[str]:
        """Those of `run_ids` that are recorded as finished. Raises StoreError."""
        if self.database is None or not run_ids:
            return frozenset()
        with self.database.reading() as connection:
            return record.settled(connection, run_ids)

    def commit(self, state: State, change: Change, also: Callable[[Connection], None] | None = None) -> None:
        """Write `change` (and what `also` adds) in one transaction, then hold `state`. Raises StoreError; then not."""
        if self.database is not None and (change or also is not None):
            with self.database.transaction() as connection:
                record.write(connection, change)
                if also is not None:
                    also(connection)
        self.state = state

    def learn_names(self, names: Mapping[str, str]) -> None:
        """Take over new and changed project names."""
        known = self.state.project_names
        new = {project_id: name for project_id, name in names.items() if known.get(project_id) != name}
        if not new:
            return
        state = replace(self.state, project_names={**known, **new})
        self.commit(state, Change(project_names=new))

    def covers(self, key: PipelineKey) -> bool:
        """Whether a pipeline is in the config's scope. Every row of every poll asks this."""
        names = self.state.project_names
        if names is not self._covered_by:
            self._covered_by, self._covered = names, {}
        known = self._covered.get(key)
        if known is None:
            known = self._covered[key] = covers(self.scope, key, names)
        return known

    def covers_name(self, project_id: str, environment_name: str, pipeline_name: str) -> bool:
        """Whether a published pipeline is in the config's scope."""
        return self.covers(PipelineKey(project_id, environment_name, pipeline_name))

    def in_scope(self, run: Run) -> bool:
        """Whether a run's pipeline is in the config's scope."""
        return self.covers(run.pipeline)

    def watched_since(self, key: PipelineKey) -> datetime:
        """Since when a pipeline in scope has been watched."""
        return watched_since(self.state.cursor, key, self.state.project_names)

    def publish(self) -> None:
        """Show what is held."""
        state = self.state
        scopes = state.cursor.scopes
        if scopes and not self._in_scope_of(state):
            # The scope has just been changed and the API not yet been asked: show what both have.
            pipelines = {key: pipeline for key, pipeline in state.pipelines.items() if self.covers(key)}
            unfinished = {key: kept for key, kept in state.unfinished.items() if self.in_scope(kept.run)}
            state = replace(state, pipelines=pipelines, unfinished=unfinished)
        self._exposition.publish(
            Snapshot(
                state=state,
                max_pipelines=self._max_pipelines,
                bucket_bounds=self.bucket_bounds,
                limits=self.limits_shown(state),
                success_within=self.expected(state),
            )
        )

    def _in_scope_of(self, state: State) -> bool:
        scopes = state.cursor.scopes
        return bool(scopes) and scopes[-1].scope == self.scope
