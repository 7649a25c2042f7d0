"""What `[poll]` puts in scope, and since when: pure matching of pipelines against the globs of a scope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.core.globs import matches_name, matches_pipeline
from exporter.core.reads import HISTORY_SWEEPS
from exporter.core.state import Change, Cursor, Origin, ScopeEpoch, State, Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from exporter.core.model import PipelineKey

EPOCHS_KEPT = 20
"""How many changes of scope are remembered; older ones only matter for pipelines that never ran since."""


def covers(scope: ScopeEpoch, key: PipelineKey, project_name: str) -> bool:
    """Whether a pipeline is in scope. A project matches by its name or its id."""
    return (
        covers_project(scope, key.project_id, project_name)
        and matches_name(scope.environments, key.environment_name)
        and matches_pipeline(scope.pipelines, key.pipeline_name)
        and not matches_pipeline(scope.exclude_pipelines, key.pipeline_name)
    )


def covers_project(scope: ScopeEpoch, project_id: str, project_name: str) -> bool:
    """Whether a project is in scope, by its name or its id."""
    return matches_name(scope.projects, project_name) or matches_name(scope.projects, project_id)


def watched_since(cursor: Cursor, key: PipelineKey, project_name: str) -> datetime:
    """Since when a pipeline has been in scope without a break; the newest scope must cover it."""
    since = cursor.scopes[-1].since
    for scope in reversed(cursor.scopes):
        if not covers(scope, key, project_name):
            break
        since = scope.since
    return since


def begin_scope(cursor: Cursor, scope: ScopeEpoch, *, lookback: timedelta) -> Cursor:
    """The cursor under `scope`, whose `since` is the API server's clock now.

    A scope that is equal to the newest one changes nothing; another one begins an epoch whose past is read afresh.
    """
    if cursor.scopes and replace(cursor.scopes[-1], since=scope.since) == scope:
        return cursor
    sweeps = tuple(sweep for sweep in cursor.sweeps if sweep.origin not in HISTORY_SWEEPS)
    if cursor.scopes:
        # The very first poll leaves its own history sweep; a later scope reads the whole span again.
        sweeps += (
            Sweep(origin=Origin.HISTORY, started_after=scope.since - lookback, started_before=scope.since),
        )
    return replace(
        cursor,
        scopes=(*cursor.scopes, scope)[-EPOCHS_KEPT:],
        sweeps=sweeps,
        forbidden_swept_at=None,
    )


def rescope(state: State, names: Mapping[str, str]) -> tuple[State, Change]:
    """`state`, as loaded, cut down to its newest scope.

    What has left stays in the store (its counters come back with it) but is not shown or followed; what has come
    in is watched from this scope's beginning.
    """
    cursor = state.cursor
    scope = cursor.scopes[-1]
    before = cursor.scopes[-2] if len(cursor.scopes) > 1 else scope
    just_begun = cursor.first_poll_of_scope and before is not scope
    kept, changed, filtered = {}, [], 0
    for key, pipeline in state.pipelines.items():
        name = names.get(key.project_id, "")
        if not covers(scope, key, name):
            filtered += just_begun and covers(before, key, name)
            continue
        if just_begun and not covers(before, key, name):
            pipeline = replace(pipeline, watched_since=scope.since)
            changed.append(pipeline)
        kept[key] = pipeline
    unfinished, forgotten = {}, []
    for run_id, record in state.unfinished.items():
        if record.run.pipeline in kept:
            unfinished[run_id] = record
        else:
            forgotten.append(run_id)
    cursor = count_pruned(cursor, "filtered", filtered)
    change = Change(pipelines=tuple(changed), forgotten_runs=tuple(forgotten), cursor=cursor)
    return replace(state, cursor=cursor, pipelines=kept, unfinished=unfinished), change


def count_pruned(cursor: Cursor, reason: str, amount: int) -> Cursor:
    """The cursor with `amount` more pipelines pruned for `reason`."""
    if not amount:
        return cursor
    pruned = tuple((name, count + amount if name == reason else count) for name, count in cursor.pruned)
    return replace(cursor, pruned=pruned)
