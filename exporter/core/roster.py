"""Which pipelines there are: what discovery lists comes in with its counters at 0, what is gone leaves.

Pure; who asks the API for the lists, and when, is the poller's business.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.core.model import PipelineKey
from exporter.core.scope import count_pruned
from exporter.core.state import Change, PipelineState, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime, timedelta

GOOD_LISTINGS = 3
"""How many listings in a row must lack a pipeline before it counts as deleted."""


def listed(
    state: State,
    project_id: str,
    environment_name: str,
    *,
    names: Collection[str],
    now: datetime,
    watched_since: Callable[[PipelineKey], datetime],
    whole: bool = True,
) -> tuple[State, Change]:
    """The state after a listing of what is published in one environment (empty when that is gone itself).

    A listing that is not `whole` (a record in it could not be read) proves nobody's absence.
    """
    changed: dict[PipelineKey, PipelineState] = {}
    for name in sorted(names):
        key = PipelineKey(project_id, environment_name, name)
        pipeline = state.pipelines.get(key)
        if pipeline is None:
            changed[key] = PipelineState(key=key, first_seen_at=now, watched_since=watched_since(key), listed_at=now)
        elif pipeline.listed_at is None or pipeline.missing_listings:
            changed[key] = replace(pipeline, listed_at=now, missing_listings=0, missing_since=None)
    for key, pipeline in state.pipelines.items() if whole else ():
        here = key.project_id == project_id and key.environment_name == environment_name
        if here and pipeline.listed_at is not None and key.pipeline_name not in names:
            changed[key] = replace(
                pipeline,
                missing_listings=pipeline.missing_listings + 1,
                missing_since=pipeline.missing_since or now,
            )
    if not changed:
        return state, Change()
    after = replace(state, pipelines={**state.pipelines, **changed})
    return after, Change(pipelines=tuple(changed.values()))


def environments_of(state: State, project_id: str) -> set[str]:
    """The environments of a project in which a pipeline has been listed."""
    return {
        key.environment_name
        for key, pipeline in state.pipelines.items()
        if key.project_id == project_id and pipeline.listed_at is not None
    }


def retire(state: State, now: datetime, *, retention: timedelta) -> tuple[State, Change]:
    """The state without the pipelines that are deleted or idle; one with an unfinished run never leaves."""
    busy = {record.run.pipeline for record in state.unfinished.values() if record.followed}
    gone = {
        key: reason
        for key, pipeline in state.pipelines.items()
        if key not in busy and (reason := _reason_to_leave(pipeline, now, retention))
    }
    if not gone:
        return state, Change()
    cursor = state.cursor
    for reason in gone.values():
        cursor = count_pruned(cursor, reason, 1)
    kept = {key: pipeline for key, pipeline in state.pipelines.items() if key not in gone}
    after = replace(state, pipelines=kept, cursor=cursor)
    return after, Change(pruned_pipelines=tuple(gone), cursor=cursor)


def _reason_to_leave(pipeline: PipelineState, now: datetime, retention: timedelta) -> str | None:
    active_at = pipeline.last_activity_at
    if pipeline.listed_at is None:
        return "idle" if (active_at or pipeline.first_seen_at) < now - retention else None
    if pipeline.missing_listings < GOOD_LISTINGS or pipeline.missing_since is None:
        return None
    # One that has run since (from Designer, say) is not gone, but does not stay for ever either.
    return "deleted" if active_at is None or active_at < max(pipeline.missing_since, now - retention) else None
