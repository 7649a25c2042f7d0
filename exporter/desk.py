"""What the poller and its chores share: the API, the account, and how a step is made durable and told.

Must not decide when anything is read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from exporter.core.events import Event, RunFinished, RunsPossiblyMissed, RunStarted, RunVanished
from exporter.core.globs import is_everything
from exporter.core.model import FAILURE_STATUSES
from exporter.maia.errors import MaiaError, Stopped
from exporter.store.errors import NotLeading, StoreError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from exporter.account import Account
    from exporter.clock import Clock
    from exporter.core.model import Run
    from exporter.core.state import Observation, RunRecord, State
    from exporter.core.tracker import Step
    from exporter.discovery import Discovery
    from exporter.maia.client import MaiaClient
    from exporter.metrics.self_metrics import SelfMetrics
    from exporter.observer import Observer
    from exporter.web.health import Readiness

log = logging.getLogger(__name__)


class Follower(Protocol):
    """What follows from a step: alerts, limits. Asked inside the step's transaction, told after it."""

    def load(self, state: State) -> None:
        """Take up what the record holds, and nothing else. Raises StoreError."""

    def poll_began(self) -> None:
        """A poll begins to read."""

    def decide(
        self,
        before: State,
        step: Step,
        connection: Connection,
        *,
        observed: Observation | None,
        server_now: datetime,
    ) -> None:
        """Write what follows, in the same transaction as what was found; `observed` None: nothing was read of runs."""

    def act(self, step: Step, *, server_now: datetime) -> None:
        """Do what was decided. May raise MaiaError and StoreError: the next poll goes on from what is written."""

    def poll_ended(self, state: State, *, cause: str, error: str) -> None:
        """Mind how a poll went: `cause` is "" for a good one. May raise StoreError."""


@dataclass(slots=True, kw_only=True)
class Desk:
    """What the poller and its chores work with, from one config to the next."""

    client: MaiaClient
    account: Account
    observer: Observer
    discovery: Discovery
    ours: SelfMetrics
    readiness: Readiness
    clock: Clock
    relief: threading.Event
    """Set when this desk is to be left, after the poll that is under way."""
    followers: tuple[Follower, ...] = ()
    outdated: bool = False
    """Whether what is held may differ from the record: a commit may have failed, or happened and not been heard of."""

    def take_up(self) -> None:
        """Hold and show what the record holds. Raises StoreError."""
        self.account.load()
        for follower in self.followers:
            follower.load(self.account.state)
        self.account.publish()
        self.outdated = False
        if self.account.known:
            self.readiness.has_something_to_show()

    def in_scope(self, run: Run) -> bool:
        """Whether a run is in the config's scope; an unknown project is looked up first."""
        if run.pipeline.project_id not in self.account.state.project_names:
            self._or_by_id(lambda: self.discovery.look_up(run.pipeline.project_id))
        return self.account.in_scope(run)

    def list_projects(self) -> None:
        """Learn the projects' names."""
        self._or_by_id(self.discovery.list_projects)

    def _or_by_id(self, ask: Callable[[], None]) -> None:
        """Ask for names. Where the scope does not need them, their absence is no reason to know nothing."""
        try:
            ask()
        except Stopped:
            raise
        except MaiaError as error:
            # Without one answer there is no server's clock either, and nothing can be dated by ours.
            if self.client.server_time is None:
                raise
            if not any(is_everything(pattern) for pattern in self.account.scope.projects):
                raise
            self.discovery.complain(error)
        self.account.learn_names(self.discovery.names)

    def poll_began(self) -> None:
        """Let everybody know that a poll begins to read."""
        for follower in self.followers:
            follower.poll_began()

    def commit(self, step: Step, *, server_now: datetime, observed: Observation | None = None) -> None:
        """Make a step durable together with what follows from it, then hold it. Raises StoreError."""
        before = self.account.state

        def also(connection: Connection) -> None:
            for follower in self.followers:
                follower.decide(before, step, connection, observed=observed, server_now=server_now)

        self.account.commit(step.state, step.change, also)
        self.ours.store_committed(self.clock.now())
        self.readiness.store_works()
        tell(step.events)

    def act(self, step: Step, *, server_now: datetime) -> None:
        """After the commit: let everybody do what was decided. Raises MaiaError and StoreError."""
        for follower in self.followers:
            follower.act(step, server_now=server_now)

    def poll_ended(self, *, cause: str, error: str) -> None:
        """Let everybody mind how a poll went."""
        try:
            for follower in self.followers:
                follower.poll_ended(self.account.state, cause=cause, error=error)
        except StoreError as failure:
            self.store_failed(failure)

    def store_failed(self, error: StoreError) -> None:
        """The record could not be read or written: nothing more is done from memory, it is read again first."""
        self.outdated = self.account.database is not None
        if isinstance(error, NotLeading):
            return
        self.ours.store_failed()
        self.readiness.store_failed(str(error))

    def show_projects(self) -> None:
        """Say which projects let us in."""
        state = self.account.state
        projects = {key.project_id for key in state.pipelines} | self.discovery.answered.keys()
        answered = {
            project_id: self.discovery.answered.get(project_id, True) and project_id not in self.discovery.refused
            for project_id in projects
            if project_id
        }
        self.ours.projects_answered(answered, names=state.project_names)


def tell(events: Iterable[Event]) -> None:
    """One line a fact."""
    for event in events:
        if isinstance(event, RunStarted):
            log.info("run started", extra=_facts(event.record))
        elif isinstance(event, RunFinished):
            level = logging.WARNING if event.record.run.status in FAILURE_STATUSES else logging.INFO
            log.log(level, "run finished", extra=_facts(event.record))
        elif isinstance(event, RunVanished):
            log.warning("run vanished: the API no longer knows it", extra=_facts(event.record))
        elif isinstance(event, RunsPossiblyMissed):
            log.error(
                "Runs may have been missed: the last good poll is older than [poll] lookback.",
                extra={"since": event.since.isoformat(), "until": event.until.isoformat()},
            )


def _facts(record: RunRecord) -> dict[str, object]:
    run = record.run
    facts: dict[str, object] = {
        "status": run.status_text,
        "pipeline": run.pipeline.pipeline_name,
        "environment": run.pipeline.environment_name,
        "run_id": run.run_id,
    }
    return {**facts, "seconds": round(run.duration_seconds, 1)} if run.finished else facts
