"""What is worth telling of a step: FAILED, FORBIDDEN, CANCELLED, SKIPPED, RECOVERED, VANISHED, OVERDUE, reminders.

Pure: `decide(events, before, after, …) -> decisions`, each with the reason why a target is told or not. Runs of one
pipeline are taken in the order in which they finished, whatever order they were read in. Whom a notice goes to is
`exporter.core.routing`; what is written once is told once, so that deciding the same again does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from exporter.core.endings import Ledger, row_of
from exporter.core.events import RunFinished, RunsPossiblyMissed, RunVanished
from exporter.core.expectations import waiting_since
from exporter.core.exporter_notice import runs_possibly_missed
from exporter.core.model import FAILURE_STATUSES, Status
from exporter.core.notice import EventKind, Fact
from exporter.core.pipelines import finish_order
from exporter.core.reminders import due_reminders
from exporter.core.routing import Matter, Notify, Switchboard, wanted
from exporter.core.run_notice import (
    in_a_row_fact,
    instant_text,
    overdue_notice,
    project_labels,
    run_notice,
    was_broken_fact,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from exporter.core.events import Event
    from exporter.core.expectations import Expectations
    from exporter.core.model import PipelineKey
    from exporter.core.notice import Decision, Notice
    from exporter.core.recent import FinishOrder
    from exporter.core.routing import RoutingEpoch
    from exporter.core.silences import Silence
    from exporter.core.state import RunRecord, State

_ORDINARY = (Status.CANCELLED, Status.SKIPPED)
"""Ends that are recorded only where some route asks for them: an account may skip thousands of runs a day."""

_FORBIDDEN_MEANS = Fact(
    label="means", value="it never ran: its runner's allow list does not permit this project and environment"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """What the config says. `epochs` is not empty; its newest is the config as it is (`routing.begin_routing`)."""

    epochs: tuple[RoutingEpoch, ...]
    expectations: Expectations


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What `decide` must be told of the record: ask only for these."""

    told: frozenset[PipelineKey] = frozenset()  # which targets know that these are broken
    runs: frozenset[str] = frozenset()  # the records of these runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the record says."""

    told: Mapping[PipelineKey, frozenset[str]] = field(default_factory=dict)
    """The targets whose message that a pipeline is broken was sent or still waits."""
    runs: Mapping[str, RunRecord] = field(default_factory=dict)
    recorded: Collection[str] = ()
    """Event ids of OVERDUE that are written already. It need not be complete: it saves writing them again."""


def needs(events: Iterable[Event], before: State, after: State, *, rules: AlertRules) -> Needs:
    """What `decide` must know of the record for the same step; nothing at all for most steps."""
    routing = rules.epochs[-1].routing
    if not routing.targets:
        return Needs()
    only_changes = any(route.notify is Notify.CHANGE for epoch in rules.epochs for route in epoch.routing.routes)
    told: set[PipelineKey] = set()
    runs: set[str] = set()
    for key, records in _finished(events).items():
        old = before.pipelines.get(key)
        if old is None:
            continue
        failures = [record for record in records if record.run.status in FAILURE_STATUSES]
        successes = [record for record in records if record.run.status is Status.SUCCESS]
        if old.streak.length and (successes or (failures and only_changes)):
            told.add(key)
        gap = rules.expectations.gap(old, before)
        if gap and any(gap.overdue_at.timestamp() < finish_order(record)[0] for record in successes):
            told.add(key)
        if old.last_success is not None and any(finish_order(record) < old.last_success for record in failures):
            runs.add(old.last_success[1])
    for reminder in due_reminders(before, after, routing):
        told.add(reminder.key)
        runs.add(reminder.run_id)
    return Needs(told=frozenset(told), runs=frozenset(runs))


def decide(
    events: Sequence[Event],
    before: State,
    after: State,
    *,
    rules: AlertRules,
    silences: tuple[Silence, ...],
    known: Known,
    now: datetime,
    cancelled_by_us: Collection[str] = (),
) -> tuple[Decision, ...]:
    """What is to be told of the step from `before` to `after`, in the order in which it is to be told.

    `known` answers `needs` of the same step; `now` is our clock; runs in `cancelled_by_us` raise CANCEL elsewhere.
    """
    switchboard = Switchboard(epochs=rules.epochs, silences=silences, now=now)
    if not switchboard.routing.targets:
        return ()
    step = _Step(before, after, rules, switchboard, known, now, frozenset(cancelled_by_us))
    ends = [end for key, records in _finished(events).items() for end in step.ends(key, records)]
    ends.sort(key=lambda end: end[0])
    return (
        *(decision for _, decision in ends),
        *(step.vanished(event.record) for event in events if isinstance(event, RunVanished)),
        *(step.missed(event) for event in events if isinstance(event, RunsPossiblyMissed)),
        *step.overdue(),
        *step.reminders(),
    )


class _Step:
    """What the deciders of one step share; lives only inside `decide`."""

    def __init__(
        self,
        before: State,
        after: State,
        rules: AlertRules,
        switchboard: Switchboard,
        known: Known,
        now: datetime,
        cancelled_by_us: frozenset[str],
    ) -> None:
        self.before = before
        self.after = after
        self.rules = rules
        self.switchboard = switchboard
        self.known = known
        self.now = now
        self.cancelled_by_us = cancelled_by_us
        self.labels = project_labels(after.project_names)
        routings = [epoch.routing for epoch in rules.epochs]
        self.ordinary = {status for status in _ORDINARY if wanted(routings, EventKind(status.value))}

    def ends(self, key: PipelineKey, records: list[RunRecord]) -> Iterator[tuple[FinishOrder, Decision]]:
        """What the ends of one pipeline's runs are worth, each with where it stands among all."""
        records.sort(key=finish_order)
        ledger = Ledger(self.before.pipelines.get(key), self.after.pipelines[key], records)
        success = ledger.last_success
        past = [record for record in records if success is not None and finish_order(record) < success]
        if past:  # read late: a success after them was known before
            knows = yield from self._walk(past, ledger, knows=frozenset(), broken=False)
            mended = self.known.runs.get(success[1]) if success else None
            if knows and mended and ledger.newest_failure is None:
                yield finish_order(mended), self._recovered(mended, ledger, knows)
        told = self.known.told.get(key, frozenset())
        yield from self._walk(records[len(past) :], ledger, knows=told, broken=ledger.newest_failure is not None)

    def _walk(
        self, records: Iterable[RunRecord], ledger: Ledger, *, knows: frozenset[str], broken: bool
    ) -> Generator[tuple[FinishOrder, Decision], None, frozenset[str]]:
        """Take runs in finish order; `knows` are the targets that know that the pipeline is `broken`, and returned."""
        for record in records:
            order, status = finish_order(record), record.run.status
            if status in FAILURE_STATUSES:
                decision = self._failed(record, ledger, knows if broken else frozenset())
                knows |= {dispatch.target for dispatch in decision.dispatches if not dispatch.suppressed}
                broken = True
                yield order, decision
            elif status is Status.SUCCESS and not ledger.broken_after(order):
                if knows:
                    yield order, self._recovered(record, ledger, knows)
                knows, broken = frozenset(), False
            elif status in self.ordinary and record.run.run_id not in self.cancelled_by_us:
                notice = self._notice(EventKind(status.value), record)
                yield order, self.switchboard.address(notice, self._matter_of(record))
        return knows

    def vanished(self, record: RunRecord) -> Decision:
        """The API no longer knows a run that had not ended."""
        since = f" since {instant_text(record.missing_since)}" if record.missing_since else ""
        what = Fact(label="vanished", value=f"the API does not know this run any more{since}; it had not ended")
        notice = self._notice(EventKind.VANISHED, record, facts=(what,), occurred_at=record.vanished_at)
        return self.switchboard.address(notice, self._matter_of(record))

    def missed(self, event: RunsPossiblyMissed) -> Decision:
        """Runs may have been missed."""
        return self.switchboard.broadcast(runs_possibly_missed(event, detected_at=self.now))

    def overdue(self) -> Iterator[Decision]:
        """Pipelines that have not succeeded for too long, by what a whole poll has seen."""
        polled_at = self.after.cursor.polled_at
        if polled_at is None or polled_at == self.before.cursor.polled_at:
            return
        gaps = self.rules.expectations.overdue(self.after, polled_at)
        new = [gap for gap in gaps if gap.event_id not in self.known.recorded]
        running: dict[PipelineKey, list[RunRecord]] = {}
        if new:
            for record in self.after.unfinished.values():
                running.setdefault(record.run.pipeline, []).append(record)
        for gap in new:
            key = gap.pipeline.key
            notice = overdue_notice(gap, running.get(key, ()), project=self._label(key), detected_at=self.now)
            yield self.switchboard.address(notice, Matter(pipeline=key, project=self._name(key)))

    def reminders(self) -> Iterator[Decision]:
        """Pipelines that are still broken, for those who were told and want to be reminded."""
        for reminder in due_reminders(self.before, self.after, self.switchboard.routing):
            record = self.known.runs.get(reminder.run_id)
            told = self.known.told.get(reminder.key, frozenset())
            if record is None or not told:
                continue
            row = row_of(self.after.pipelines[reminder.key].streak)
            notice = self._notice(
                EventKind(record.run.status.value),
                record,
                stage=reminder.stage,
                occurred_at=self.after.cursor.polled_at,
                after_message=(in_a_row_fact(row), reminder.fact),
            )
            notice = replace(notice, subject=f"{notice.subject}, still broken")
            decision = self.switchboard.remind(notice, self._matter_of(record), told=told, due=reminder.due)
            if decision.dispatches:
                yield decision

    def _failed(self, record: RunRecord, ledger: Ledger, knows: frozenset[str]) -> Decision:
        order = finish_order(record)
        after: tuple[Fact, ...] = (in_a_row_fact(ledger.in_a_row(order)),)
        if succeeded_at := ledger.succeeded_after(order):
            after += (Fact(label="since then", value=f"it has succeeded, last at {instant_text(succeeded_at)}"),)
        means = (_FORBIDDEN_MEANS,) if record.run.status is Status.FORBIDDEN else ()
        notice = self._notice(EventKind(record.run.status.value), record, facts=means, after_message=after)
        return self.switchboard.address(notice, self._matter_of(record), knows=knows)

    def _recovered(self, record: RunRecord, ledger: Ledger, knows: frozenset[str]) -> Decision:
        old = self.before.pipelines.get(record.run.pipeline)
        was = was_broken_fact(ledger.in_a_row(finish_order(record)), waiting_since(old) if old else None)
        notice = self._notice(EventKind.RECOVERED, record, facts=(was,))
        return self.switchboard.answer(notice, self._matter_of(record), told=knows)

    def _notice(
        self,
        event: EventKind,
        record: RunRecord,
        *,
        stage: str = "",
        occurred_at: datetime | None = None,
        facts: tuple[Fact, ...] = (),
        after_message: tuple[Fact, ...] = (),
    ) -> Notice:
        return run_notice(
            event,
            record,
            project=self._label(record.run.pipeline),
            detected_at=self.now,
            occurred_at=occurred_at,
            stage=stage,
            facts=facts,
            after_message=after_message,
        )

    def _label(self, key: PipelineKey) -> str:
        return self.labels.get(key.project_id) or key.project_id

    def _matter_of(self, record: RunRecord) -> Matter:
        run = record.run
        return Matter(pipeline=run.pipeline, project=self._name(run.pipeline), triggers=(run.trigger,))

    def _name(self, key: PipelineKey) -> str:
        return self.after.project_names.get(key.project_id, "")


def _finished(events: Iterable[Event]) -> dict[PipelineKey, list[RunRecord]]:
    """The runs that were found finished, by their pipelines."""
    found: dict[PipelineKey, list[RunRecord]] = {}
    for event in events:
        if isinstance(event, RunFinished):
            found.setdefault(event.record.run.pipeline, []).append(event.record)
    return found
