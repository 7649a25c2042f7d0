"""What follows from a step for runs that are past their limit: decided in the step's transaction, acted on after it.

On the poller's thread. Must not decide anything itself (`exporter.core.limits`), nor send (`exporter.canceller`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.canceller import Canceller, policy_of, rules_of
from exporter.canceller.replaying import start_lines
from exporter.clock import Mark
from exporter.core.limits.decide import decide
from exporter.core.limits.rules import Coverage
from exporter.core.state import Origin
from exporter.metrics.limits import PipelineLimits, pipeline_limits
from exporter.store import cancellations

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from exporter.alerting import Alerting
    from exporter.clock import Clock
    from exporter.config.root import Config
    from exporter.core.limits.runs import Limits, LimitStep
    from exporter.core.model import PipelineKey
    from exporter.core.state import Observation, State
    from exporter.core.tracker import Step
    from exporter.maia.client import MaiaClient
    from exporter.metrics.limits import LimitMetrics
    from exporter.store.database import Database

log = logging.getLogger(__name__)


class Limiting:
    """Limits, as what follows from steps; the journal of the canceller."""

    def __init__(
        self,
        config: Config,
        *,
        database: Database,
        client: MaiaClient,
        clock: Clock,
        alerting: Alerting,
        metrics: LimitMetrics,
        on_duty: Callable[[], bool],
    ) -> None:
        self._rules = rules_of(config)
        self._policy = policy_of(config)
        self._database = database
        self._clock = clock
        self._alerting = alerting
        self._metrics = metrics
        self.coverage = Coverage(self._rules)
        self._canceller = Canceller(
            client,
            self,
            clock=clock,
            coverage=lambda: self.coverage,
            stale_after=self._policy.stale_after,
            on_duty=on_duty,
        )
        self._pending: LimitStep | None = None  # decided in the transaction that is being committed
        self._polled = False  # whether that was a poll
        self._began = Mark.of(clock)

    def load(self, state: State) -> None:
        """Take up what the record holds. Raises StoreError."""
        self.coverage = self.coverage.follow(self._rules, state.project_names)
        self._canceller.limits = self.reload()
        self._pending = None
        self._show(state)

    def explain(self, state: State) -> None:
        """Say in the log what each limit is about. Raises StoreError."""
        if self._rules and state.pipelines:
            with self._database.reading() as connection:
                for _, line in start_lines(connection, self.coverage, state.pipelines, now=self._clock.now()):
                    log.info(line)

    def poll_began(self) -> None:
        """A poll begins to read: what it rests on is as old as this."""
        self._began = Mark.of(self._clock)

    def decide(
        self,
        before: State,
        step: Step,
        connection: Connection,
        *,
        observed: Observation | None,
        server_now: datetime,
    ) -> None:
        """Write what follows for runs past their limit, and whom to tell."""
        del before
        self.coverage = self.coverage.follow(self._rules, step.state.project_names)
        # A person may have closed the breaker from another process.
        limits = replace(self._canceller.limits, breaker=cancellations.read_breaker(connection))
        self._pending = decide(
            limits,
            state=step.state,
            observed=observed,
            events=step.events,
            coverage=self.coverage,
            policy=self._policy,
            moment=self._canceller.moment(server_now),
        )
        self._polled = observed is not None and observed.origin is Origin.POLL
        self._write(connection, self._pending)

    def act(self, step: Step, *, server_now: datetime) -> None:
        """Hold what is committed now, then ask runs to stop. Raises Stopped."""
        del server_now
        decided, self._pending = self._pending, None
        if decided is not None:
            self._canceller.committed(decided)
            self._wake(decided)
        if self._polled:
            self._canceller.act(self._began)
            self._show(step.state)

    def poll_ended(self, state: State, *, cause: str, error: str) -> None:
        """Nothing follows from a poll that failed: no decision without a fresh read."""

    def standing(self) -> tuple[Limits, Coverage]:
        """How limits stand, for whoever looks: neither changes any more."""
        return self._canceller.limits, self.coverage

    def shown(self, state: State) -> dict[PipelineKey, PipelineLimits]:
        """What the metrics say of pipelines and their limits."""
        return pipeline_limits(self._canceller.limits, self.coverage, state)

    # The journal of the canceller.

    def commit(self, step: LimitStep) -> None:
        """Write a step of the canceller and whom to tell, in one transaction. Raises StoreError."""
        with self._database.transaction() as connection:
            self._write(connection, step)
        self._wake(step)

    def reload(self) -> Limits:
        """What the record holds. Raises StoreError."""
        with self._database.reading() as connection:
            return cancellations.load(connection)

    # How

    def _write(self, connection: Connection, step: LimitStep) -> None:
        cancellations.write(connection, step.change)
        self._alerting.tell(connection, step.told)

    def _wake(self, step: LimitStep) -> None:
        if step.told:
            self._alerting.wake()

    def _show(self, state: State) -> None:
        self._metrics.show(self._canceller.limits, self.coverage, state.pipelines)
