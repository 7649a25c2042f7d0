"""Which pipelines have not succeeded for too long, whatever the reason: never started, skipped, hung, failing.

Pure. Must not remember what was told: each gap has one id, and who writes it down once tells it once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exporter.core.globs import Scope
from exporter.core.notice import EventKind
from exporter.core.run_notice import instant_text, pipeline_id
from exporter.core.state import Origin

if TYPE_CHECKING:
    from exporter.core.model import PipelineKey
    from exporter.core.state import PipelineState, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What must succeed how often."""

    scope: Scope = field(default_factory=Scope)
    success_within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A pipeline that has not succeeded within what is expected of it."""

    pipeline: PipelineState
    success_within: timedelta
    since: datetime  # the last success, else since when we know the pipeline

    @property
    def event_id(self) -> str:
        """One for each gap: the next success ends it."""
        return f"{pipeline_id(self.pipeline.key)}:{EventKind.OVERDUE.value}:{instant_text(self.since)}"

    @property
    def overdue_at(self) -> datetime:
        """When it became too long."""
        return self.since + self.success_within


class Expectations:
    """The expectations in the order of the config; the first match wins. Remembers which one a pipeline has."""

    def __init__(self, expectations: tuple[Expectation, ...]) -> None:
        self._expectations = expectations
        self._shortest = min((expectation.success_within for expectation in expectations), default=None)
        self._found: dict[tuple[PipelineKey, str], timedelta | None] = {}

    def __bool__(self) -> bool:
        """Whether anything is expected of anybody."""
        return self._shortest is not None

    def success_within(self, key: PipelineKey, *, project: str) -> timedelta | None:
        """How often a pipeline must succeed; None where nothing is expected. `project` is the project's name."""
        if not self._expectations:
            return None
        if (key, project) not in self._found:
            self._found[key, project] = next(
                (
                    expectation.success_within
                    for expectation in self._expectations
                    if expectation.scope.contains(
                        key.pipeline_name,
                        environment=key.environment_name,
                        project=project,
                        project_id=key.project_id,
                    )
                ),
                None,
            )
        return self._found[key, project]

    def overdue(self, state: State, now: datetime) -> list[Gap]:
        """All gaps that are too long at `now`, by the API's clock; none while older pages are still to be read."""
        if self._shortest is None or still_reading(state):
            return []
        latest = (now - self._shortest).timestamp()
        stale = [pipeline for pipeline in state.pipelines.values() if waiting_since(pipeline) < latest]
        gaps = (self.gap(pipeline, state) for pipeline in stale)
        return [gap for gap in gaps if gap is not None and gap.overdue_at < now]

    def gap(self, pipeline: PipelineState, state: State) -> Gap | None:
        """The gap that a pipeline is in, too long or not; None where nothing is expected of it."""
        project = state.project_names.get(pipeline.key.project_id, "")
        success_within = self.success_within(pipeline.key, project=project)
        if success_within is None:
            return None
        since = datetime.fromtimestamp(waiting_since(pipeline), UTC)
        return Gap(pipeline=pipeline, success_within=success_within, since=since)


def still_reading(state: State) -> bool:
    """Whether pages of a time in which we were not there are still to be read: a success may be on one of them."""
    return any(sweep.origin in (Origin.CATCH_UP, Origin.HISTORY) for sweep in state.cursor.sweeps)


def waiting_since(pipeline: PipelineState) -> float:
    """Unix time of the last success; of a pipeline without one, when we first saw it.

    That is the first start of the exporter for all that were there then; one that is published a year later is not
    overdue on its first day.
    """
    if pipeline.last_success is not None:
        return pipeline.last_success[0]
    return pipeline.first_seen_at.timestamp()
