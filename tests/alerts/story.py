"""A small world for the deciders: polls at given minutes, the real tracker, and an outbox that is a dictionary."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from exporter.core.alerts import AlertRules, Known, decide, needs
from exporter.core.expectations import Expectations
from exporter.core.globs import Scope
from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.core.notice import EventKind
from exporter.core.reads import after_poll
from exporter.core.routing import Routing, begin_routing
from exporter.core.scope import begin_scope, watched_since
from exporter.core.state import Observation, Origin, State, Sweep
from exporter.core.tracker import advance

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)
FINANCE = "5e1f0000-aaaa-4bbb-8ccc-000000000001"
NAMES = {FINANCE: "Finance", "77aa0000-aaaa-4bbb-8ccc-000000000002": "Sales"}
BROKEN = (EventKind.FAILED, EventKind.FORBIDDEN, EventKind.OVERDUE)


def at(minute):
    return START + timedelta(minutes=minute)


def run(run_id, status=Status.FAILED, *, end, pipeline="nightly", environment="prod", project=FINANCE, **fields):
    """A run that took a minute and ended at minute `end` (None: it has no times)."""
    times = {} if end is None else {"started_at": at(end - 1), "finished_at": at(end)}
    if status in (Status.RUNNING, Status.CANCELLING):
        times["finished_at"] = None
    return Run(
        run_id=run_id,
        pipeline=PipelineKey(project, environment, pipeline),
        status=status,
        status_text=status.value,
        **{"trigger": Trigger.SCHEDULE, **times, **fields},
    )


class Story:
    """Tells what every poll would send: `a:FAILED > oncall`, or `a:FAILED | oncall unchanged` where it is held back."""

    def __init__(self, *, targets=("oncall",), routes=(), expectations=(), history=(), silences=()):
        self.epochs = ()
        self.expectations = Expectations(tuple(expectations))
        self.silences = silences
        self.state = State(project_names=NAMES)
        self.finished = {}
        self.outbox = {}
        self.asked = []
        self.route(targets, routes, minute=0)
        self.first = self.poll(0, *history)

    def route(self, targets, routes=(), *, minute):
        """From now on the config names these targets and routes."""
        self.epochs = begin_routing(self.epochs, Routing(targets=tuple(targets), routes=tuple(routes)), at(minute))

    def poll(self, minute, *runs, **how):
        """What the outbox takes from one poll."""
        return [line for decision in self.step(minute, *runs, **how) for line in lines(decision)]

    def page(self, minute, *runs):
        """What it takes from a page that is read between two polls."""
        return self.poll(minute, *runs, origin=Origin.CATCH_UP)

    def step(self, minute, *runs, missing=(), origin=Origin.POLL, ours=(), sweeping=False):
        before = self.state
        cursor = begin_scope(before.cursor, Scope(), at(minute), lookback=WEEK)
        before = replace(before, cursor=cursor)
        if origin is Origin.POLL:
            rest = Sweep(origin=Origin.CATCH_UP) if sweeping else None
            cursor = after_poll(replace(cursor, sweeps=()), runs, at(minute), rest=rest, lookback=WEEK)
        taken = advance(
            before,
            Observation(origin=origin, server_now=at(minute), runs=runs, missing=frozenset(missing)),
            settled=self.finished,
            watched_since=lambda key: watched_since(cursor, key, NAMES),
            cursor=cursor,
        )
        decisions = self.decide(taken.events, before, taken.state, now=at(minute), ours=ours)
        self.state = taken.state
        self.finished |= {each.run.run_id: each for each in taken.change.runs if each.finished_seen_at}
        new = [each for each in decisions if each.notice.event_id not in self.outbox]
        self.outbox |= {each.notice.event_id: each for each in new}
        return new

    def decide(self, events, before, after, *, now, ours=()):
        rules = AlertRules(epochs=self.epochs, expectations=self.expectations)
        asked = needs(events, before, after, rules=rules)
        self.asked.append(asked)
        known = Known(
            told={key: self.told(key) for key in asked.told},
            runs={run_id: self.finished[run_id] for run_id in asked.runs if run_id in self.finished},
        )
        silences = tuple(self.silences)
        return decide(events, before, after, rules=rules, silences=silences, known=known, now=now, cancelled_by_us=ours)

    def told(self, key):
        """As the outbox answers: whose message since the last RECOVERED was not suppressed."""
        found = set()
        for decision in self.outbox.values():
            if decision.notice.pipeline != key:
                continue
            if decision.notice.event is EventKind.RECOVERED:
                found = set()
            elif decision.notice.event in BROKEN:
                found |= {each.target for each in decision.dispatches if not each.suppressed}
        return frozenset(found)

    def why(self, event_id, target="oncall"):
        return next(each.why for each in self.outbox[event_id].dispatches if each.target == target)

    def fact(self, event_id, label):
        return next((fact.value for fact in self.outbox[event_id].notice.facts if fact.label == label), None)


def lines(decision):
    event_id = decision.notice.event_id
    return [
        f"{event_id} | {each.target} {each.suppressed}" if each.suppressed else f"{event_id} > {each.target}"
        for each in decision.dispatches
    ]
