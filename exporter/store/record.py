"""Reads and writes what `exporter.core.state` holds. Every function works on the caller's connection.

Must not begin or end transactions, nor decide what a run's change means. A finished run is final here too.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BindParameter, bindparam, delete, or_, select

from exporter.core.state import Change, Cursor, State
from exporter.store import rows, schema
from exporter.store.errors import damaged, place_of
from exporter.store.upsert import Upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from exporter.core.model import PipelineKey
    from exporter.core.state import RunRecord

_READING = "reading"  # the name of the cursor's row
_IDS_AT_ONCE = 500  # databases limit the parameters of one statement


def load(connection: Connection) -> State:
    """All that is kept in memory: pipelines, unfinished runs, names, and how far the account has been read.

    Raises StoreCorrupt when a row is not what we wrote.
    """
    try:
        pipelines = [rows.pipeline_state(text) for text in connection.execute(_PIPELINES).scalars()]
        text = connection.execute(_CURSOR, {"name": _READING}).scalar()
        cursor = Cursor() if text is None else rows.cursor(text)
    except msgspec.DecodeError as error:
        raise damaged(
            place_of(connection.engine.url), "read the record", f"a row holds what we never wrote ({error})"
        ) from error
    return State(
        cursor=cursor,
        unfinished={row.run_id: rows.run_record(row) for row in connection.execute(_UNFINISHED)},
        pipelines={pipeline.key: pipeline for pipeline in pipelines},
        project_names={row.project_id: row.name for row in connection.execute(_PROJECTS)},
    )


def write(connection: Connection, change: Change) -> None:
    """Write a step's rows. Writing the same change again changes nothing."""
    _UPSERT_RUNS(connection, [rows.run_row(record) for record in change.runs])
    _UPSERT_PIPELINES(connection, [rows.pipeline_row(state) for state in change.pipelines])
    _UPSERT_PROJECTS(connection, list(change.project_names.items()))
    if change.cursor is not None:
        _UPSERT_CURSOR(connection, [(_READING, rows.cursor_text(change.cursor))])
    if change.forgotten_runs:
        connection.execute(_FORGET_RUN, [{"id": run_id} for run_id in change.forgotten_runs])
    if change.pruned_pipelines:
        connection.execute(_DELETE_PIPELINE, [_of(key) for key in change.pruned_pipelines])


def settled(connection: Connection, run_ids: Collection[str]) -> frozenset[str]:
    """Those of `run_ids` that are recorded as finished."""
    found: set[str] = set()
    for ids in _in_chunks(run_ids):
        found.update(connection.execute(_SETTLED, {"ids": ids}).scalars())
    return frozenset(found)


def find(connection: Connection, run_id: str) -> RunRecord | None:
    """One run, or None when it is not recorded."""
    row = connection.execute(_FIND, {"id": run_id}).one_or_none()
    return None if row is None else rows.run_record(row)


def named(connection: Connection, run_ids: Collection[str]) -> dict[str, RunRecord]:
    """Those of these runs that are recorded, by id."""
    return {
        row.run_id: rows.run_record(row)
        for ids in _in_chunks(run_ids)
        for row in connection.execute(_NAMED, {"ids": ids})
    }


def newest_finished(connection: Connection, *, limit: int) -> list[RunRecord]:
    """The runs that finished last (by end, else start, else first seen), newest first."""
    return [rows.run_record(row) for row in connection.execute(_NEWEST_FINISHED, {"limit": limit})]


def newest_failures(connection: Connection, *, limit: int) -> list[RunRecord]:
    """The FAILED and FORBIDDEN runs that finished last, newest first."""
    return [rows.run_record(row) for row in connection.execute(_NEWEST_FAILURES, {"limit": limit})]


def runs_of(connection: Connection, key: PipelineKey, *, limit: int) -> list[RunRecord]:
    """The newest runs of one pipeline, finished or not, newest first.

    Looks through all runs from the newest on until it has `limit`: half a second of a million, so not for a poll.
    """
    return [rows.run_record(row) for row in connection.execute(_RUNS_OF, {**_of(key), "limit": limit})]


def prune(connection: Connection, *, before: datetime, keep: Collection[str], limit: int) -> int:
    """Delete at most `limit` runs that ended (else started, else were first seen) before `before`, oldest first.

    Never one that is still followed or in `keep`. Returns how many: fewer than `limit` means that none is left.
    """
    kept = frozenset(keep)
    # Read bit by bit: however many are to be kept, no more is fetched than it takes to find `limit` others.
    with connection.execute(_PRUNABLE, {"before": before}, execution_options={"yield_per": _IDS_AT_ONCE}) as oldest:
        ids = list(islice((run_id for run_id in oldest.scalars() if run_id not in kept), limit))
    for some in _in_chunks(ids):
        connection.execute(_DELETE_RUNS, {"ids": some})
    return len(ids)


def _of(key: PipelineKey) -> dict[str, str]:
    """Parameters of `_is_of`."""
    return {"project": key.project_id, "environment": key.environment_name, "pipeline": key.pipeline_name}


def _is_of(table: Table) -> Any:
    return (
        (table.c.project_id == bindparam("project"))
        & (table.c.environment_name == bindparam("environment"))
        & (table.c.pipeline_name == bindparam("pipeline"))
    )


def _in_chunks(run_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = list(run_ids)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


# Statements, built once: building one costs more than running it.

_RUN = schema.run.c
_FINISHED = _RUN.finished_seen_at.is_not(None)
_NEWEST_FIRST = (_RUN.ended_at.desc(), _RUN.run_id.desc())
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_LIMIT: BindParameter[int] = bindparam("limit")

_UPSERT_RUNS = Upsert(schema.run, only_where=schema.UNFINISHED)
_UPSERT_PIPELINES = Upsert(schema.pipeline)
_UPSERT_PROJECTS = Upsert(schema.project)
_UPSERT_CURSOR = Upsert(schema.cursor)
_FORGET_RUN = delete(schema.run).where(_RUN.run_id == bindparam("id"), schema.UNFINISHED)
_DELETE_RUNS = delete(schema.run).where(_RUN.run_id.in_(_IDS))
_DELETE_PIPELINE = delete(schema.pipeline).where(_is_of(schema.pipeline))

_PIPELINES = select(schema.pipeline.c.state)
_PROJECTS = select(schema.project)
_CURSOR = select(schema.cursor.c.v).where(schema.cursor.c.k == bindparam("name"))
_UNFINISHED = select(schema.run).where(schema.UNFINISHED)
_SETTLED = select(_RUN.run_id).where(_RUN.run_id.in_(_IDS), _FINISHED)
_FIND = select(schema.run).where(_RUN.run_id == bindparam("id"))
_NAMED = select(schema.run).where(_RUN.run_id.in_(_IDS))
_NEWEST_FINISHED = select(schema.run).where(_FINISHED).order_by(*_NEWEST_FIRST).limit(_LIMIT)
_NEWEST_FAILURES = select(schema.run).where(schema.FAILURE).order_by(*_NEWEST_FIRST).limit(_LIMIT)
_RUNS_OF = select(schema.run).where(_is_of(schema.run)).order_by(*_NEWEST_FIRST).limit(_LIMIT)
_PRUNABLE = (
    select(_RUN.run_id)
    .where(_RUN.ended_at < bindparam("before", type_=schema.Instant))
    .where(or_(_FINISHED, _RUN.vanished_at.is_not(None)))
    .order_by(_RUN.ended_at)
)
