"""Whom a notice goes to: routes in order, silences, and which routes held when it happened.

Pure. Must not decide whether something is worth telling: that is `exporter.core.alerts` and `exporter.core.limits`.
"""

from __future__ import annotations

# The names in annotations are imported for good: the store's decoder reads the annotations.
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from exporter.core.durations import duration_literal
from exporter.core.globs import EVERYTHING, Scope, matches_name
from exporter.core.model import PipelineKey, Trigger
from exporter.core.notice import Decision, Dispatch, EventKind, Notice, Suppression
from exporter.core.silences import silence_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from exporter.core.silences import Silence

DEFAULT_EVENTS = frozenset(EventKind) - {EventKind.CANCELLED, EventKind.SKIPPED}
"""What a route takes that does not say which events it takes, and what goes out when there is no route."""

FAILURES = (EventKind.FAILED, EventKind.FORBIDDEN)
"""Of these `notify = "change"` tells only the first in a row."""

ENDINGS = (EventKind.FAILED, EventKind.FORBIDDEN, EventKind.CANCELLED, EventKind.SKIPPED)
"""A run's end happened when it happened, however late we learn of it; everything else is news of this moment."""

UNATTENDED = (Trigger.API, Trigger.SCHEDULE, Trigger.SCHEDULE_RUN_NOW)
"""What a route's triggers are held against where there is no run: expectations are about what starts by itself."""

EPOCHS_KEPT = 20
"""How many changes of the routes are remembered."""


class Notify(StrEnum):
    """Which failures in a row a route tells."""

    EVERY = "every"
    CHANGE = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which events go to which targets. The first match wins unless it continues."""

    targets: tuple[str, ...]
    events: frozenset[EventKind] = DEFAULT_EVENTS
    scope: Scope = field(default_factory=Scope)
    triggers: tuple[str, ...] = EVERYTHING
    notify: Notify = Notify.EVERY
    remind_every: timedelta = timedelta(0)  # 0: never
    continues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The targets there are, and the routes in the order of the config."""

    targets: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def in_order(self) -> tuple[Route, ...]:
        """The routes, or the one that stands for none: everything to every target."""
        return self.routes or (Route(targets=self.targets),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingEpoch:
    """From `since` on (by the API's clock) `routing` holds."""

    since: datetime
    routing: Routing


def begin_routing(epochs: tuple[RoutingEpoch, ...], routing: Routing, server_now: datetime) -> tuple[RoutingEpoch, ...]:
    """The epochs under `routing`, which begins now if it is not the newest one already."""
    if epochs and epochs[-1].routing == routing:
        return epochs
    return (*epochs, RoutingEpoch(since=server_now, routing=routing))[-EPOCHS_KEPT:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What the matchers of routes and silences are held against."""

    pipeline: PipelineKey
    project: str  # the project's name, "" when unknown
    triggers: tuple[Trigger, ...] = UNATTENDED  # of the run; any of them will do


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchboard:
    """Everything that says whom to tell. `epochs` is not empty; the newest is the config as it is."""

    epochs: tuple[RoutingEpoch, ...]
    silences: tuple[Silence, ...] = ()
    now: datetime  # our clock: silences are set on it

    @property
    def routing(self) -> Routing:
        """What holds now."""
        return self.epochs[-1].routing

    def routing_of(self, notice: Notice) -> Routing:
        """The routes that held when it happened: a new target or route is told nothing that ended before it."""
        if notice.event not in ENDINGS:
            return self.routing
        for epoch in reversed(self.epochs):
            # An end is often dated to a second only: in doubt it was after the change, and the new target is told.
            if epoch.since.replace(microsecond=0) <= notice.occurred_at:
                return epoch.routing
        return self.epochs[0].routing

    def address(self, notice: Notice, matter: Matter, *, knows: Collection[str] = ()) -> Decision:
        """What every target gets of a notice about a pipeline; `knows` are those who know that it is broken."""
        routing = self.routing_of(notice)
        silence = silence_of(self.silences, matter.pipeline, project=matter.project, now=self.now)
        found: dict[str, Dispatch] = {}
        for number, route in matching(routing, notice.event, matter):
            words = _words(number, route, routing)
            for target in route.targets:
                if target not in self.routing.targets:
                    continue  # it is gone
                dispatch = Dispatch(target=target, why=words)
                if route.notify is Notify.CHANGE and notice.event in FAILURES and target in knows:
                    why = f'{words}; notify = "change", and it knows already that the pipeline is broken'
                    dispatch = Dispatch(target=target, why=why, suppressed=Suppression.UNCHANGED)
                if target not in found or found[target].suppressed:
                    found[target] = dispatch
        dispatches = tuple(found.values()) or self._unrouted(notice, routing)
        if silence is not None:
            dispatches = tuple(silenced(dispatch, silence) for dispatch in dispatches)
        return Decision(notice=notice, dispatches=dispatches)

    def remind(
        self, notice: Notice, matter: Matter, *, told: Collection[str], due: Callable[[timedelta], bool]
    ) -> Decision:
        """What the targets that were told get of a reminder; `due(remind_every)`: whether a route's time has come."""
        silence = silence_of(self.silences, matter.pipeline, project=matter.project, now=self.now)
        found: dict[str, Dispatch] = {}
        for number, route in matching(self.routing, notice.event, matter):
            if due(route.remind_every):
                words = (
                    f"{_words(number, route, self.routing)}, which reminds every {duration_literal(route.remind_every)}"
                )
                for target in route.targets:
                    if target in told:
                        dispatch = Dispatch(target=target, why=words)
                        found.setdefault(target, dispatch if silence is None else silenced(dispatch, silence))
        return Decision(notice=notice, dispatches=tuple(found.values()))

    def answer(self, notice: Notice, matter: Matter, *, told: Collection[str]) -> Decision:
        """What the targets that were told that a pipeline is broken get of its recovery.

        The order of the routes was decided when it broke, and whatever started the run that succeeded, it works
        again: all that counts is whether some route about this pipeline lists the event for the target.
        """
        silence = silence_of(self.silences, matter.pipeline, project=matter.project, now=self.now)
        dispatches = []
        for target in self.routing.targets:
            if target not in told:
                continue
            words = next(
                (
                    _words(number, route, self.routing)
                    for number, route in enumerate(self.routing.in_order, start=1)
                    if target in route.targets and notice.event in route.events and _about(route, matter)
                ),
                None,
            )
            if words is None:
                why = f"no route about this pipeline lists {notice.event} for it"
                dispatches.append(Dispatch(target=target, why=why, suppressed=Suppression.NO_ROUTE))
                continue
            dispatch = Dispatch(target=target, why=f"it was told that the pipeline is broken; {words}")
            dispatches.append(dispatch if silence is None else silenced(dispatch, silence))
        return Decision(notice=notice, dispatches=tuple(dispatches))

    def broadcast(self, notice: Notice, *, but: str = "") -> Decision:
        """What every target gets of a notice about ourselves; `but` is the target that it is about."""
        routing = self.routing
        found: dict[str, Dispatch] = {}
        for number, route in enumerate(routing.in_order, start=1):
            if notice.event in route.events:
                words = _words(number, route, routing)
                for target in route.targets:
                    if target != but:
                        found.setdefault(target, Dispatch(target=target, why=f"{words}, whatever it matches"))
        return Decision(notice=notice, dispatches=tuple(found.values()) or self._unrouted(notice, routing, but=but))

    def _unrouted(self, notice: Notice, routing: Routing, *, but: str = "") -> tuple[Dispatch, ...]:
        """Nobody is told, and every target's row says so."""
        why = f"no route matches this {notice.event}"
        if routing is not self.routing:
            why += f" of {notice.occurred_at:%Y-%m-%dT%H:%M:%SZ}, by the routes of that time"
        targets = (target for target in self.routing.targets if target != but)
        return tuple(Dispatch(target=target, why=why, suppressed=Suppression.NO_ROUTE) for target in targets)


def matching(routing: Routing, event: EventKind, matter: Matter) -> Iterator[tuple[int, Route]]:
    """The routes that take an event about a pipeline, numbered from 1, up to the first that does not continue."""
    for number, route in enumerate(routing.in_order, start=1):
        if event in route.events and _about(route, matter) and _started_by(route, matter.triggers):
            yield number, route
            if not route.continues:
                return


def wanted(routings: Iterable[Routing], event: EventKind) -> bool:
    """Whether any route lists an event at all."""
    return any(event in route.events for routing in routings for route in routing.in_order)


def silenced(dispatch: Dispatch, silence: Silence) -> Dispatch:
    """The dispatch, not told because of a silence; what was not to be told anyway stays as it was."""
    if dispatch.suppressed:
        return dispatch
    said = f" ({silence.comment})" if silence.comment else ""
    by = f" by {silence.author}" if silence.author else ""
    why = f"silence {silence.silence_id}{by} until {silence.ends_at:%Y-%m-%dT%H:%M:%SZ}{said}; {dispatch.why}"
    return Dispatch(target=dispatch.target, why=why, suppressed=Suppression.SILENCED)


def _about(route: Route, matter: Matter) -> bool:
    key = matter.pipeline
    return route.scope.contains(
        key.pipeline_name, environment=key.environment_name, project=matter.project, project_id=key.project_id
    )


def _started_by(route: Route, triggers: Sequence[Trigger]) -> bool:
    return any(matches_name(route.triggers, trigger) for trigger in triggers)


def _words(number: int, route: Route, routing: Routing) -> str:
    """Which route, in words: its number, and what it matches if that is not everything."""
    if not routing.routes:
        return "there is no route, so that everything goes to every target"
    matchers = (
        ("projects", route.scope.projects),
        ("environments", route.scope.environments),
        ("pipelines", route.scope.pipelines),
        ("triggers", route.triggers),
    )
    narrow = "; ".join(f"{name} {', '.join(globs)}" for name, globs in matchers if globs != EVERYTHING)
    return f"route {number}" + (f" ({narrow})" if narrow else "")
