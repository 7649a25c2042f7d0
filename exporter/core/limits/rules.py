"""What a limit is, and which limit a run is under: the first one that matches.

Must not know how a config spells it, or what has become of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# The names in annotations are imported for good: the store's decoder reads the annotations.
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from exporter.core.globs import Scope, is_everything, matches_name, matches_project
from exporter.core.model import PipelineKey, Trigger


class Mode(StrEnum):
    """How far a limit goes."""

    OBSERVE = "observe"  # tells what it would do
    WARN = "warn"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """One of [[limits]]. At least one of `warn_after` and `cancel_after` is given."""

    name: str
    mode: Mode = Mode.OBSERVE
    scope: Scope = field(default_factory=Scope)
    triggers: tuple[str, ...] = (Trigger.API.value, Trigger.SCHEDULE.value, Trigger.SCHEDULE_RUN_NOW.value)
    warn_after: timedelta | None = None
    cancel_after: timedelta | None = None
    force_after: timedelta | None = None  # after the polite request
    stuck_after: timedelta = timedelta(minutes=15)  # after the last request

    @property
    def announce_after(self) -> timedelta:
        """The first threshold: past it a run is over its limit."""
        return self.warn_after or self.cancel_after or timedelta.max

    @property
    def shown_after(self) -> timedelta:
        """The threshold that stands for the whole limit: the last one."""
        return self.cancel_after or self.warn_after or timedelta.max


class Coverage:
    """The limits in force under the projects' names; remembers what it was asked."""

    def __init__(self, rules: tuple[LimitRule, ...] = (), names: Mapping[str, str] | None = None) -> None:
        self.rules = rules
        self.names = {} if names is None else names
        self._by_pipeline: dict[PipelineKey, tuple[LimitRule, ...]] = {}

    def follow(self, rules: tuple[LimitRule, ...], names: Mapping[str, str]) -> Coverage:
        """The coverage by these rules and names: this one where they are the same."""
        same = self.rules == rules and (self.names is names or self.names == names)
        return self if same else Coverage(rules, names)

    def rules_for(self, pipeline: PipelineKey) -> tuple[LimitRule, ...]:
        """The limits that are about a pipeline's runs, whatever started them, in their order."""
        found = self._by_pipeline.get(pipeline)
        if found is None:
            found = self._by_pipeline[pipeline] = tuple(self._matching(pipeline))
        return found

    def rule_for(self, pipeline: PipelineKey, trigger: Trigger) -> LimitRule | None:
        """The limit that a run is under, by its pipeline and what started it."""
        return next((rule for rule in self.rules_for(pipeline) if matches_name(rule.triggers, trigger.value)), None)

    def matched_pipelines(self, pipelines: Iterable[PipelineKey]) -> dict[str, list[PipelineKey]]:
        """For each limit, by name, the pipelines of which it can get a run."""
        matched: dict[str, list[PipelineKey]] = {rule.name: [] for rule in self.rules}
        for pipeline in pipelines if self.rules else ():
            taken: set[Trigger] = set()
            for rule in self.rules_for(pipeline):
                own = {trigger for trigger in Trigger if matches_name(rule.triggers, trigger.value)}
                if own - taken:
                    matched[rule.name].append(pipeline)
                taken |= own
        return matched

    def _matching(self, pipeline: PipelineKey) -> Iterable[LimitRule]:
        name = self.names.get(pipeline.project_id, "")
        for rule in self.rules:
            scope = rule.scope
            if not name and not _decides_without_name(scope, pipeline.project_id):
                return  # whether this limit comes first cannot be told yet, so none after it may
            if scope.contains(
                pipeline.pipeline_name,
                environment=pipeline.environment_name,
                project=name,
                project_id=pipeline.project_id,
            ):
                yield rule


def _decides_without_name(scope: Scope, project_id: str) -> bool:
    """Whether a project's id is enough to say whether the scope is about it."""
    return any(map(is_everything, scope.projects)) or matches_project(scope.projects, name="", project_id=project_id)
