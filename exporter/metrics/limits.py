"""What limits show: on every pipeline its limit, the runs past it and what was asked; on every limit what it matches.

Must not decide what is over a limit: `exporter.core.limits` has.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.core.limits.runs import OUTCOMES, REQUEST_MODES, LimitCounts
from exporter.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from exporter.core.limits.rules import Coverage
    from exporter.core.limits.runs import Limits
    from exporter.core.model import PipelineKey
    from exporter.core.state import State
    from exporter.metrics.own_registry import OwnRegistry
    from exporter.metrics.snapshot import PipelineView

MODES = tuple(mode.value for mode in REQUEST_MODES)
ENDS = tuple(stage.value for stage in OUTCOMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineLimits:
    """What limits have to do with one pipeline."""

    seconds: float | None = None  # of the first limit that is about it; None: there is none
    over_now: int = 0  # its unfinished runs past their own limit
    counts: LimitCounts = field(default_factory=LimitCounts)


NO_LIMITS = PipelineLimits()
"""A pipeline that no limit has been about."""


def pipeline_limits(limits: Limits, coverage: Coverage, state: State) -> dict[PipelineKey, PipelineLimits]:
    """What there is to show of every pipeline that limits have something to do with."""
    over = Counter(state.unfinished[run_id].run.pipeline for run_id in limits.over_now & state.unfinished.keys())
    shown = {}
    for key in state.pipelines if coverage.rules else limits.counts.keys() & state.pipelines.keys():
        rules = coverage.rules_for(key)
        counts = limits.counts.get(key)
        if rules or counts is not None:
            shown[key] = PipelineLimits(
                seconds=rules[0].shown_after.total_seconds() if rules else None,
                over_now=over[key],
                counts=counts or NO_LIMITS.counts,
            )
    return shown


# The numbers of a pipeline, for `exporter.metrics.families`.


def run_time_limit(view: PipelineView) -> float | None:
    """The last threshold of its first limit."""
    return view.limits.seconds


def active_runs_over_limit(view: PipelineView) -> int:
    """Unfinished runs past their own limit."""
    return view.limits.over_now


def runs_over_limit(view: PipelineView) -> int:
    """Runs that passed their first threshold."""
    return view.limits.counts.over


def cancel_requests(view: PipelineView) -> Sequence[int] | None:
    """Runs that were asked to stop, by mode; None where there is no limit."""
    return None if view.limits.seconds is None else view.limits.counts.requests


def cancel_outcomes(view: PipelineView) -> Sequence[int] | None:
    """What became of them; None where there is no limit."""
    return None if view.limits.seconds is None else view.limits.counts.outcomes


class LimitMetrics:
    """What is shown of the limits themselves; told by the poller."""

    def __init__(self, registry: OwnRegistry) -> None:
        self._registry = registry
        self._breaker_open = registry.gauge(catalogue.CANCEL_BREAKER_OPEN)
        self._matched_pipelines = registry.recorded(catalogue.LIMIT_MATCHED_PIPELINES)
        self._last_match = registry.recorded(catalogue.LIMIT_LAST_MATCH)

    def show(self, limits: Limits, coverage: Coverage, pipelines: Iterable[PipelineKey]) -> None:
        """Show them as they stand after a poll; `pipelines` are those that are tracked."""
        matched = coverage.matched_pipelines(pipelines)
        self._breaker_open.set(limits.breaker.is_open)
        self._matched_pipelines.set_each({name: len(found) for name, found in matched.items()})
        self._last_match.set_each(_seconds(limits.matched_at, matched))
        self._registry.heard()


def _seconds(instants: Mapping[str, datetime], names: Iterable[str]) -> dict[str, float]:
    return {name: instants[name].timestamp() for name in names if name in instants}
