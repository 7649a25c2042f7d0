"""What the facts about Maia are rendered from: one immutable `Snapshot` per poll.

Must not decide or render anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.core.state import RunCounts, State
from exporter.metrics.limits import NO_LIMITS, PipelineLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.core.model import PipelineKey
    from exporter.core.state import PipelineState, RunRecord

DEFAULT_MAX_PIPELINES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state after a poll, and how much of it to show. `bucket_bounds` are seconds; empty means no histogram."""

    state: State = field(default_factory=State)
    max_pipelines: int = DEFAULT_MAX_PIPELINES
    bucket_bounds: tuple[float, ...] = ()
    limits: Mapping[PipelineKey, PipelineLimits] = field(default_factory=dict)  # without those that have none
    success_within: Mapping[PipelineKey, float] = field(default_factory=dict)  # seconds; the same


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineView:
    """One pipeline as the families see it."""

    labels: str  # project_name="…",environment_name="…",pipeline_name="…"
    state: PipelineState
    active: tuple[RunRecord, ...]  # its unfinished runs, without vanished ones
    counts: RunCounts  # all 0 for a poll after the pipeline was introduced by a run
    bucket_bounds: tuple[float, ...]
    limits: PipelineLimits = NO_LIMITS  # its counts all 0 as well for that poll
    success_within: float | None = None  # seconds
