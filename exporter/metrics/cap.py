"""Which pipelines are shown when there are more than `max_pipelines`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from exporter.core.model import PipelineKey
    from exporter.core.state import PipelineState


def within_cap(
    pipelines: Mapping[PipelineKey, PipelineState],
    *,
    max_pipelines: int,
    shown_before: Collection[PipelineKey],
    active: Collection[PipelineKey],
) -> frozenset[PipelineKey]:
    """The pipelines to show: those shown before, then those that have had a run, then those seen first.

    `active` are the ones with an unfinished run.
    """
    if len(pipelines) <= max_pipelines:
        return frozenset(pipelines)

    def rank(key: PipelineKey) -> tuple[bool, bool, float, PipelineKey]:
        pipeline = pipelines[key]
        has_run = key in active or pipeline.last_run is not None or any(pipeline.counts.started)
        return (key not in shown_before, not has_run, pipeline.first_seen_at.timestamp(), key)

    return frozenset(sorted(pipelines, key=rank)[:max_pipelines])
