"""What `[poll]` puts in scope, and since when: pure matching of pipelines against the globs of a scope."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.core.reads import HISTORY_SWEEPS
from exporter.core.state import Change, Cursor, Origin, ScopeEpoch, State, Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exporter.core.globs import Scope
    from exporter.core.model import PipelineKey

EPOCHS_KEPT = 20
"""How many changes of scope are remembered; older ones only matter for pipelines that never ran since."""


def covers(scope: Scope, key: PipelineKey, names: Mapping[str, str]) -> bool:
    """Whether a pipeline is in scope; `names` are the projects' by id."""
    return scope.contains(
        key.pipeline_name,
        environment=key.environment_name,
        project=names.get(key.project_id, ""),
        project_id=key.project_id,
    )


def watched_since(cursor: Cursor, key: PipelineKey, names: Mapping[str, str]) -> datetime:
    """Since when a pipeline has been in scope without a break; the newest scope must cover it."""
    since = cursor.scopes[-1].since
    for epoch in reversed(cursor.scopes):
        if not covers(epoch.scope, key, names):
            break
        since = epoch.since
    return since


def begin_scope(cursor: Cursor, scope: Scope, server_now: datetime, *, lookback: timedelta) -> Cursor:
    """The cursor under `scope`, which begins now by the API server's clock if it is not the newest one already.

    A new epoch has its past read afresh.
    """
    if cursor.scopes and cursor.scopes[-1].scope == scope:
        return cursor
    if cursor.polled_at is not None:
        # Dates on the wire are good to a second: after a quick restart the last poll could seem to be in this scope.
        server_now = max(server_now, cursor.polled_at + timedelta(microseconds=1))
    sweeps = tuple(sweep for sweep in cursor.sweeps if sweep.origin not in HISTORY_SWEEPS)
    if cursor.scopes:
        # The very first poll leaves its own history sweep; a later scope reads the whole span again.
        sweeps += (Sweep(origin=Origin.HISTORY, started_after=server_now - lookback, started_before=server_now),)
    return replace(
        cursor,
        scopes=(*cursor.scopes, ScopeEpoch(since=server_now, scope=scope))[-EPOCHS_KEPT:],
        sweeps=sweeps,
        forbidden_swept_at=None,
    )


def rescope(state: State) -> tuple[State, Change]:
    """`state`, as loaded, cut down to its newest scope.

    What has left stays in the store (its counters come back with it) but is not shown or followed; what has come
    in is watched from this scope's beginning.
    """
    cursor, names = state.cursor, state.project_names
    epoch = cursor.scopes[-1]
    before = cursor.scopes[-2] if len(cursor.scopes) > 1 else epoch
    just_begun = cursor.first_poll_of_scope and before is not epoch
    kept, changed, filtered = {}, [], 0
    for key, pipeline in state.pipelines.items():
        if not covers(epoch.scope, key, names):
            filtered += just_begun and covers(before.scope, key, names)
            continue
        if just_begun and not covers(before.scope, key, names):
            pipeline = replace(pipeline, watched_since=epoch.since)
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
