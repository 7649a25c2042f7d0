"""Which limits, routes and expectations of a config match which pipelines, in lines for `check --live`.

Must not ask the API: it is given the published pipelines in scope.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from exporter.canceller.meaning import rules_of
from exporter.core.durations import format_duration
from exporter.core.limits.rules import Coverage
from exporter.core.model import Trigger
from exporter.core.notice import EventKind
from exporter.core.routing import Matter, matching
from exporter.core.scope import covers
from exporter.notifier.from_config import routing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.config.root import Config
    from exporter.core.model import PipelineKey


def rule_lines(config: Config, pipelines: Sequence[PipelineKey], names: Mapping[str, str]) -> Iterator[str]:
    """For each rule, in the order of the config, the pipelines of which it can get something. `names` by project id."""
    for limit, found in Coverage(rules_of(config), names).matched_pipelines(pipelines).items():
        mode = next(each.mode for each in config.limits if each.name == limit)
        yield from _rule(f'limit "{limit}", mode {mode}', found, names)
    if config.targets and not config.routes:
        yield f"no [[routes]]: everything goes to every target ({', '.join(each.name for each in config.targets)})"
    routed = _routed(config, pipelines, names)
    for number, route in enumerate(config.routes, 1):
        yield from _rule(f"route #{number} to {', '.join(route.targets)}", routed[number], names)
    expected = _expected(config, pipelines, names)
    for number, expectation in enumerate(config.expectations, 1):
        within = format_duration(expectation.success_within)
        yield from _rule(f"expectation #{number}, a success within {within}", expected[number], names)


def _routed(
    config: Config, pipelines: Sequence[PipelineKey], names: Mapping[str, str]
) -> Mapping[int, list[PipelineKey]]:
    """By a route's number, the pipelines of which some event of some run comes to it."""
    table, found = routing(config), defaultdict(list)
    for key in pipelines:
        project = names.get(key.project_id, "")
        matters = [Matter(pipeline=key, project=project, triggers=(trigger,)) for trigger in Trigger]
        reached = {number for matter in matters for event in EventKind for number, _ in matching(table, event, matter)}
        for number in reached:
            found[number].append(key)
    return found


def _expected(
    config: Config, pipelines: Sequence[PipelineKey], names: Mapping[str, str]
) -> Mapping[int, list[PipelineKey]]:
    """By an expectation's number, the pipelines for which it is the first that matches."""
    found = defaultdict(list)
    for key in pipelines:
        for number, expectation in enumerate(config.expectations, 1):
            if covers(expectation.scope, key, names):
                found[number].append(key)
                break
    return found


def _rule(rule: str, found: Sequence[PipelineKey], names: Mapping[str, str]) -> Iterator[str]:
    if not found:
        yield f"warning: {rule}: matches no published pipeline"
        return
    yield f"{rule}: {len(found)} pipeline{'' if len(found) == 1 else 's'}"
    for key in sorted(found, key=lambda key: (names.get(key.project_id, ""), key)):
        yield f"    {names.get(key.project_id, key.project_id)}, {key.environment_name}: {key.pipeline_name}"
