"""Rules between tables: names that must be unique or known, rules that can never match, spans that must fit.

Works on entries, so that a mistake in one key does not hide another elsewhere. Must not read or change anything.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from exporter.config.alerting import RouteMatchers
from exporter.config.errors import Problem, quoted, suggestion
from exporter.config.limits import LimitMatchers
from exporter.config.matchers import Matchers
from exporter.config.sections import PollScope, PollSettings, StoreSettings
from exporter.core.durations import duration_literal
from exporter.core.globs import is_everything

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.config.entry import Entry

NAMED_TABLES = ("targets", "limits")
"""Tables whose rows have a name that commands, messages and labels use."""

RULE_TABLES: dict[str, type[Matchers]] = {
    "routes": RouteMatchers,
    "expectations": Matchers,
    "limits": LimitMatchers,
}
"""Tables in which the first match wins, and what a row matches by."""


def problems_between(entries: Mapping[str, Sequence[Entry]]) -> Iterator[Problem]:
    """Find what is wrong between the tables of a config, given as entries by the name of their table.

    A table that is none at all has no entry, and is left alone.
    """
    for poll, store in product(entries.get("poll", ()), entries.get("store", ())):
        yield from _short_retention(poll, store)
    for name in NAMED_TABLES:
        yield from _duplicate_names(entries.get(name, ()))
    if "targets" in entries:
        yield from _unknown_targets(entries.get("routes", ()), entries["targets"])
    watched = [
        scope for poll in entries.get("poll", ()) if (scope := poll.part(PollScope, *PollScope.examples())) is not None
    ]
    for name, model in RULE_TABLES.items():
        rules = [(entry, entry.part(model, *model.examples())) for entry in entries.get(name, ())]
        sound = [(entry, rule) for entry, rule in rules if rule is not None]
        yield from _hidden(sound)
        for (entry, rule), scope in product(sound, watched):
            yield from _unwatched(entry, rule, scope)


def _short_retention(poll: Entry, store: Entry) -> Iterator[Problem]:
    reading, record = poll.part(PollSettings, "lookback"), store.part(StoreSettings, "retention")
    if reading is not None and record is not None and record.retention < 2 * reading.lookback:
        kept, twice = duration_literal(record.retention), duration_literal(2 * reading.lookback)
        yield store.problem(
            "retention",
            f'"{kept}" is less than twice [poll] lookback, "{duration_literal(reading.lookback)}"',
            f'write at least "{twice}", or a shorter lookback',
        )


def _duplicate_names(rows: Sequence[Entry]) -> Iterator[Problem]:
    first: dict[object, int] = {}
    for number, row in enumerate(rows, 1):
        if "name" in row.broken:
            continue
        name = row.table["name"]
        if name in first:
            yield row.problem("name", f"{quoted(name)} is the name of #{first[name]} already", "choose another")
        first.setdefault(name, number)


def _unknown_targets(routes: Sequence[Entry], targets: Sequence[Entry]) -> Iterator[Problem]:
    if any("name" in target.broken for target in targets):
        return  # the broken name may be the one that is meant
    names = [target.table["name"] for target in targets]
    for route in routes:
        if "targets" in route.broken:
            continue
        for name in route.table["targets"]:
            if name not in names:
                hint = suggestion(name, names) or "there are no [[targets]]"
                yield route.problem("targets", f"{quoted(name)} is not the name of a target", hint)


def _hidden(rules: Sequence[tuple[Entry, Matchers]]) -> Iterator[Problem]:
    for position, (entry, rule) in enumerate(rules):
        hider = next((earlier for earlier, wide in rules[:position] if wide.hides(rule)), None)
        if hider is not None:
            what = f"can never match, because {hider.label} comes first and takes all that it matches"
            yield entry.problem("", what, "put it further up, or remove it")


def _unwatched(entry: Entry, rule: Matchers, watched: PollScope) -> Iterator[Problem]:
    for key in rule.keys_outside(watched):
        only = ", ".join(map(quoted, getattr(watched, key)))
        yield entry.problem(key, f"can never match, because [poll] {key} watches only {only}", "change one of the two")
    excluded = watched.exclude_pipelines
    if rule.needs_runs and all(glob in excluded or any(map(is_everything, excluded)) for glob in rule.pipelines):
        what = "can never match, because [poll] exclude_pipelines leaves all of that out"
        yield entry.problem("pipelines", what, "change one of the two")
