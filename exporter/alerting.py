"""What follows from a step for people: decides whom to tell of it, in the step's own transaction; wakes the notifier.

On the poller's thread. Must not send anything, nor hold up a poll: the failing steps are asked for after the commit,
ten runs and two seconds at most, and a message goes without them otherwise.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.core import alerts, exporter_notice
from exporter.core.alerts import AlertRules, Known
from exporter.core.expectations import Expectation, Expectations
from exporter.core.model import Status
from exporter.core.notice import EventKind
from exporter.core.routing import Switchboard, begin_routing
from exporter.maia.errors import MaiaError, Stopped
from exporter.store import cancellations, epochs, outbox, outbox_views, record, silences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from exporter.clock import Clock
    from exporter.config.root import Config
    from exporter.core.model import PipelineKey
    from exporter.core.notice import Decision, Notice
    from exporter.core.routing import Matter, Routing, RoutingEpoch
    from exporter.core.state import Observation, State
    from exporter.core.tracker import Step
    from exporter.maia.client import MaiaClient
    from exporter.store.database import Database

log = logging.getLogger(__name__)

ASKED_RUNS = 10
ASKED_SECONDS = 2.0
"""Bounds of asking for failing steps after one commit."""

HOLD = timedelta(seconds=ASKED_SECONDS + 1)
"""How long a new message waits for its failing step, should this process die while it asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Polls that fail."""

    since: datetime  # the first that failed, our clock
    last_good_at: datetime | None


class Alerting:
    """Alerts, as what follows from steps and from polls that fail."""

    def __init__(
        self,
        config: Config,
        *,
        routing: Routing,
        database: Database,
        client: MaiaClient,
        clock: Clock,
        wake: Callable[[], None],
        polled_well: Callable[[], None],
    ) -> None:
        self._routing = routing
        self._database = database
        self._client = client
        self._clock = clock
        self._wake = wake
        self._polled_well = polled_well
        self._exporter_after = config.alerts.exporter_after
        self._expectations = Expectations(
            tuple(Expectation(scope=each.scope, success_within=each.success_within) for each in config.expectations)
        )
        self._epochs: tuple[RoutingEpoch, ...] | None = None  # as they stand in the store; None: not looked yet
        self._recorded: set[str] = set()  # OVERDUE events that are known to be written
        self._overdue: set[str] = set()  # OVERDUE events of the step that is being committed
        self._fresh: tuple[Decision, ...] = ()  # what the last commit wrote
        self.outage: Outage | None = None
        """Polls that fail now; goes on when the config changes."""
        self._outage_told = True  # until looked: an earlier process may have told of one that is over now

    def success_within(self, state: State) -> dict[PipelineKey, float]:
        """Every pipeline's expectation in seconds, for its metric; without those that have none."""
        if not self._expectations:
            return {}  # every poll asks twice
        return {
            key: within.total_seconds()
            for key in state.pipelines
            if (within := self._expectations.success_within(key, project=state.project_names.get(key.project_id, "")))
        }

    def tell(self, connection: Connection, told: Iterable[tuple[Notice, Matter]]) -> None:
        """Write notices of limits, each with what routes are held against."""
        now = self._clock.now()
        decisions: list[Decision] = []
        for notice, matter in told:
            board = Switchboard(
                epochs=self._epochs_at(connection, notice.detected_at),
                silences=silences.active(connection, now),
                now=now,
            )
            decisions.append(board.address(notice, matter))
        outbox.record(connection, decisions, now=now)

    def wake(self) -> None:
        """What `tell` wrote is committed."""
        self._wake()

    def load(self, state: State) -> None:
        """Nothing of what was not surely written is remembered."""
        del state
        self._epochs = None
        self._fresh = ()
        self._outage_told = True

    def poll_began(self) -> None:
        """Nothing to do."""

    def decide(
        self,
        before: State,
        step: Step,
        connection: Connection,
        *,
        observed: Observation | None,
        server_now: datetime,
    ) -> None:
        """Write what is to be told of the step. Once written, it is told, whatever happens to us."""
        del observed
        now = self._clock.now()
        rules = AlertRules(epochs=self._epochs_at(connection, server_now), expectations=self._expectations)
        needs = alerts.needs(step.events, before, step.state, rules=rules)
        found = {run_id: record.find(connection, run_id) for run_id in needs.runs}
        decisions = alerts.decide(
            step.events,
            before,
            step.state,
            rules=rules,
            silences=silences.active(connection, now),
            known=Known(
                told=outbox.told(connection, needs.told),
                runs={run_id: run for run_id, run in found.items() if run is not None},
                recorded=self._recorded,
            ),
            now=now,
            cancelled_by_us=self._ours(connection, step),
        )
        polled_well = before.cursor.polled_at != step.state.cursor.polled_at
        if polled_well:
            decisions += self._end_of_outage(connection, before, now=now)
        self._fresh = outbox.record(connection, decisions, now=now, hold=HOLD)
        self._overdue = {each.notice.event_id for each in decisions if each.notice.event is EventKind.OVERDUE}

    def act(self, step: Step, *, server_now: datetime) -> None:
        """Ask for the words of failing steps, then let everything go. After the commit."""
        del step, server_now
        fresh, self._fresh = self._fresh, ()
        self._recorded |= self._overdue
        if not fresh:
            return
        details = self._details(each.notice for each in fresh)
        now = self._clock.now()
        with self._database.transaction() as connection:
            for event_id, text in details.items():
                outbox.add_detail(connection, event_id, text, now=now)
            outbox.release(connection, [each.notice.event_id for each in fresh], now=now)
        self._wake()

    def poll_ended(self, state: State, *, cause: str, error: str) -> None:
        """Mind the polls: when they have failed for `exporter_after`, say so. `cause` is "" for a good one."""
        if not cause:
            self.outage = None
            self._polled_well()
            return
        now = self._clock.now()
        if self.outage is None:
            self.outage = Outage(since=now, last_good_at=state.cursor.polled_at)
        outage = self.outage
        if now - outage.since < self._exporter_after or not self._routing.targets:
            return
        notice = exporter_notice.polls_fail(
            since=outage.since, last_good_at=outage.last_good_at, cause=cause, error=error, now=now
        )
        with self._database.transaction() as connection:
            board = Switchboard(epochs=self._epochs_at(connection, now), now=now)
            new = outbox.record(connection, (board.broadcast(notice),), now=now)
        self._outage_told = True
        if new:
            self._wake()

    # How

    def _epochs_at(self, connection: Connection, server_now: datetime) -> tuple[RoutingEpoch, ...]:
        known = epochs.load(connection) if self._epochs is None else self._epochs
        current = begin_routing(known, self._routing, server_now)
        if current != known:
            epochs.save(connection, current)
        else:
            self._epochs = current  # remembered only once it is surely committed
        return current

    def _ours(self, connection: Connection, step: Step) -> frozenset[str]:
        """Runs that ended because we had asked for it: told as CANCEL."""
        ended = (record.run for record in step.change.runs if record.finished_seen_at is not None)
        return frozenset(
            run.run_id
            for run in ended
            if run.status is Status.CANCELLED and cancellations.cancelled_by_us(connection, run.run_id)
        )

    def _end_of_outage(self, connection: Connection, before: State, *, now: datetime) -> tuple[Decision, ...]:
        """The word that polls work again, when somebody was told that they failed."""
        if not self._outage_told:
            return ()
        self._outage_told = False
        last_good_at = before.cursor.polled_at
        since = self.outage.since if self.outage else (last_good_at or now)
        down = outbox_views.shown(connection, exporter_notice.polls_fail_id(last_good_at, since=since))
        if down is None:
            return ()
        notice = exporter_notice.polls_work(since=since, last_good_at=last_good_at, now=now)
        return (Switchboard(epochs=self._epochs_at(connection, now), now=now).broadcast(notice),)

    def _details(self, notices: Iterable[Notice]) -> dict[str, str]:
        """What the failing steps said, by event id."""
        failed = [each for each in notices if each.event is EventKind.FAILED and each.pipeline is not None]
        found: dict[str, str] = {}
        try:
            with self._client.deadline(ASKED_SECONDS):
                for notice in failed[:ASKED_RUNS]:
                    if notice.pipeline is None or not notice.pipeline.project_id:
                        continue
                    steps = self._client.steps(notice.pipeline.project_id, notice.run_id)
                    step = next((each for each in steps if each.status is Status.FAILED), None)
                    if step is not None:
                        found[notice.event_id] = f"{step.name}: {step.message}" if step.message else step.name
        except Stopped:
            raise
        except MaiaError as error:
            log.info("The failing steps cannot be had now; the messages go without them: %s", error)
        return found
