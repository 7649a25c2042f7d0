"""Reads and writes what `exporter.core.state` holds. Every function works on the caller's connection.

Must not begin or end transactions, nor decide what a run's change means; a finished run is final.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BindParameter, Table, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.core.state import Change, Cursor, PipelineState, RunRecord, State
from exporter.store import schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Row
    from sqlalchemy.sql import Executable

CURSOR = "reading"
_IDS_AT_ONCE = 500

_RUN = schema.run.c
_PIPELINE_KEY = ("project_id", "environment_name", "pipeline_name")
_pipeline_state = msgspec.json.Decoder(PipelineState, strict=False)
_cursor = msgspec.json.Decoder(Cursor, strict=False)


def load(connection: Connection) -> State:
    """All that is kept in memory: pipelines, unfinished runs, names, and how far the account has been read."""
    pipelines = [_pipeline_state.decode(row.state) for row in connection.execute(_ALL_PIPELINES)]
    kept = connection.execute(_READ_CURSOR, {"name": CURSOR}).scalar()
    return State(
        cursor=_cursor.decode(kept) if kept else Cursor(),
        unfinished={row.run_id: _record(row) for row in connection.execute(_UNFINISHED)},
        pipelines={pipeline.key: pipeline for pipeline in pipelines},
        project_names={row.project_id: row.name for row in connection.execute(_PROJECTS)},
    )


def write(connection: Connection, change: Change) -> None:
    """Write a step's rows. Writing the same change again changes nothing."""
    if change.runs:
        connection.execute(_for(connection, _UPSERT_RUN), [_run_row(record) for record in change.runs])
    if change.forgotten_runs:
        connection.execute(_FORGET_RUN, [{"id": run_id} for run_id in change.forgotten_runs])
    if change.pipelines:
        connection.execute(_for(connection, _UPSERT_PIPELINE), [_pipeline_row(state) for state in change.pipelines])
    if change.pruned_pipelines:
        connection.execute(_DELETE_PIPELINE, [_key_row(key) for key in change.pruned_pipelines])
    if change.project_names:
        rows = [{"project_id": project_id, "name": name} for project_id, name in change.project_names.items()]
        connection.execute(_for(connection, _UPSERT_PROJECT), rows)
    if change.cursor is not None:
        value = msgspec.json.encode(change.cursor).decode()
        connection.execute(_for(connection, _UPSERT_CURSOR), {"name": CURSOR, "value": value})


def settled(connection: Connection, run_ids: Collection[str]) -> frozenset[str]:
    """Those of `run_ids` that are recorded as finished."""
    found: set[str] = set()
    for some in _in_chunks(run_ids):
        found.update(connection.execute(_SETTLED, {"ids": some}).scalars())
    return frozenset(found)


def find(connection: Connection, run_id: str) -> RunRecord | None:
    """One run, or None when it is not recorded."""
    row = connection.execute(_FIND, {"id": run_id}).one_or_none()
    return None if row is None else _record(row)


def newest_finished(connection: Connection, *, limit: int, statuses: Collection[Status] = ()) -> list[RunRecord]:
    """The runs that finished last, newest first; with `statuses` only those."""
    query = select(schema.run).where(_RUN.finished_seen_at.is_not(None)).order_by(_RUN.ended_at.desc()).limit(limit)
    if statuses:
        query = query.where(_RUN.status.in_([status.value for status in statuses]))
    return [_record(row) for row in connection.execute(query)]


def runs_of(connection: Connection, key: PipelineKey, *, limit: int) -> list[RunRecord]:
    """The newest runs of one pipeline, newest first."""
    rows = connection.execute(_RUNS_OF, {**_key_row(key), "limit": limit})
    return [_record(row) for row in rows]


def prune(connection: Connection, *, before: datetime, keep: Collection[str], limit: int) -> int:
    """Delete at most `limit` finished or vanished runs that ended before `before` and are not in `keep`; how many."""
    rows = connection.execute(_PRUNABLE, {"before": before, "limit": limit + len(keep)}).scalars()
    gone = [run_id for run_id in rows if run_id not in keep][:limit]
    for some in _in_chunks(gone):
        connection.execute(_DELETE_RUNS, {"ids": some})
    return len(gone)


# Rows


def _run_row(record: RunRecord) -> dict[str, Any]:
    run = record.run
    return {
        "run_id": run.run_id,
        "project_id": run.pipeline.project_id,
        "environment_name": run.pipeline.environment_name,
        "pipeline_name": run.pipeline.pipeline_name,
        "pipeline_type": run.pipeline_type,
        "status": run.status.value,
        "status_text": run.status_text,
        "run_trigger": run.trigger.value,
        "run_user": run.user,
        "schedule_id": run.schedule_id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "message": run.message,
        "first_seen_at": record.first_seen_at,
        "finished_seen_at": record.finished_seen_at,
        "cancelling_since": record.cancelling_since,
        "missing_since": record.missing_since,
        "vanished_at": record.vanished_at,
        "history": record.history,
        "ended_at": run.finished_at or run.started_at or record.first_seen_at,
    }


def _record(row: Row[Any]) -> RunRecord:
    return RunRecord(
        run=Run(
            run_id=row.run_id,
            pipeline=PipelineKey(row.project_id, row.environment_name, row.pipeline_name),
            status=Status(row.status),
            status_text=row.status_text,
            trigger=Trigger(row.run_trigger),
            pipeline_type=row.pipeline_type,
            user=row.run_user,
            schedule_id=row.schedule_id,
            started_at=row.started_at,
            finished_at=row.finished_at,
            message=row.message,
        ),
        first_seen_at=row.first_seen_at,
        finished_seen_at=row.finished_seen_at,
        cancelling_since=row.cancelling_since,
        missing_since=row.missing_since,
        vanished_at=row.vanished_at,
        history=bool(row.history),
    )


def _pipeline_row(state: PipelineState) -> dict[str, Any]:
    return {
        **dict(zip(_PIPELINE_KEY, _key_of(state.key), strict=True)),
        "last_success_at": state.last_success[0] if state.last_success else None,
        "state": msgspec.json.encode(state).decode(),
    }


_key_of = attrgetter(*_PIPELINE_KEY)


def _key_row(key: PipelineKey) -> dict[str, Any]:
    return {f"key_{name}": value for name, value in zip(_PIPELINE_KEY, _key_of(key), strict=True)}


def _in_chunks(run_ids: Iterable[str]) -> Iterator[list[str]]:
    """SQLite takes a limited number of parameters in one statement."""
    ids = list(run_ids)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


# Statements, built once: building one costs more than running it.


def _upsert(table: Table, *, keep_finished: bool = False) -> dict[str, Executable]:
    keys = [column.name for column in table.primary_key]
    statements: dict[str, Executable] = {}
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql)):
        insert = dialect.insert(table)
        values = {column.name: insert.excluded[column.name] for column in table.c if column.name not in keys}
        where = table.c.finished_seen_at.is_(None) if keep_finished else None
        statements[name] = insert.on_conflict_do_update(index_elements=keys, set_=values, where=where)
    return statements


def _for(connection: Connection, statements: dict[str, Executable]) -> Executable:
    return statements[connection.dialect.name]


def _of_key(table: Table) -> Any:
    first, second, third = (table.c[name] == bindparam(f"key_{name}") for name in _PIPELINE_KEY)
    return first & second & third


_ids: BindParameter[Any] = bindparam("ids", expanding=True)

_UPSERT_RUN = _upsert(schema.run, keep_finished=True)
_UPSERT_PIPELINE = _upsert(schema.pipeline)
_UPSERT_PROJECT = _upsert(schema.project)
_UPSERT_CURSOR = _upsert(schema.cursor)
_ALL_PIPELINES = select(schema.pipeline.c.state)
_PROJECTS = select(schema.project)
_READ_CURSOR = select(schema.cursor.c.value).where(schema.cursor.c.name == bindparam("name"))
_UNFINISHED = select(schema.run).where(_RUN.finished_seen_at.is_(None))
_SETTLED = select(_RUN.run_id).where(_RUN.run_id.in_(_ids), _RUN.finished_seen_at.is_not(None))
_FIND = select(schema.run).where(_RUN.run_id == bindparam("id"))
_FORGET_RUN = delete(schema.run).where(_RUN.run_id == bindparam("id"), _RUN.finished_seen_at.is_(None))
_DELETE_RUNS = delete(schema.run).where(_RUN.run_id.in_(_ids))
_DELETE_PIPELINE = delete(schema.pipeline).where(_of_key(schema.pipeline))
_RUNS_OF = select(schema.run).where(_of_key(schema.run)).order_by(_RUN.ended_at.desc()).limit(bindparam("limit"))
_PRUNABLE = (
    select(_RUN.run_id)
    .where(_RUN.ended_at < bindparam("before", type_=schema.Instant))
    .where(or_(_RUN.finished_seen_at.is_not(None), _RUN.vanished_at.is_not(None)))
    .order_by(_RUN.ended_at)
    .limit(bindparam("limit"))
)
