"""What `exporter.core.state` holds, as rows and back.

Must not talk to the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.core.recent import RecentRuns
from exporter.core.state import Cursor, PipelineState, RunRecord
from exporter.store.schema import micros

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row

RowValues = tuple[Any, ...]
"""One row as the driver takes it, in the order of the table's columns."""

_STATUSES = {status.value: status for status in Status}
_TRIGGERS = {trigger.value: trigger for trigger in Trigger}


def _packed(recent: RecentRuns) -> str:
    """The one field that is a class of its own."""
    return recent.packed


def _recent_runs(_: type, packed: Any) -> RecentRuns:
    """Back again; an earlier version wrote a list of runs."""
    return RecentRuns(packed) if isinstance(packed, str) else RecentRuns.of(packed)


# A field that a later version has added is passed over; one that an earlier version did not have gets its default.
_pipeline_state = msgspec.json.Decoder(PipelineState, dec_hook=_recent_runs)
_cursor = msgspec.json.Decoder(Cursor)
_encode = msgspec.json.Encoder(enc_hook=_packed).encode


def run_row(record: RunRecord) -> RowValues:
    """A row of `schema.run`."""
    run, pipeline = record.run, record.run.pipeline
    started_at, finished_at, first_seen_at = _at(run.started_at), _at(run.finished_at), micros(record.first_seen_at)
    ended_at = finished_at if finished_at is not None else started_at
    return (
        run.run_id,
        pipeline.project_id,
        pipeline.environment_name,
        pipeline.pipeline_name,
        run.pipeline_type,
        run.status.value,
        run.status_text,
        run.trigger.value,
        run.user,
        run.schedule_id,
        started_at,
        finished_at,
        run.message,
        first_seen_at,
        _at(record.finished_seen_at),
        _at(record.cancelling_since),
        _at(record.missing_since),
        _at(record.vanished_at),
        record.history,
        ended_at if ended_at is not None else first_seen_at,
    )


def run_record(row: Row[Any]) -> RunRecord:
    """The run of a row of `schema.run`; a status or trigger that only a later version knows is UNKNOWN."""
    return RunRecord(
        run=Run(
            run_id=row.run_id,
            pipeline=PipelineKey(row.project_id, row.environment_name, row.pipeline_name),
            status=_STATUSES.get(row.status, Status.UNKNOWN),
            status_text=row.status_text,
            trigger=_TRIGGERS.get(row.run_trigger, Trigger.UNKNOWN),
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
        history=row.history,
    )


def pipeline_row(state: PipelineState) -> RowValues:
    """A row of `schema.pipeline`."""
    key = state.key
    return key.project_id, key.environment_name, key.pipeline_name, _encode(state).decode()


def pipeline_state(text: str) -> PipelineState:
    """The pipeline of a row's `state`. Raises msgspec.DecodeError."""
    return _pipeline_state.decode(text)


def cursor_text(cursor: Cursor) -> str:
    """How far the account has been read, as JSON."""
    return _encode(cursor).decode()


def cursor(text: str) -> Cursor:
    """The cursor of that JSON. Raises msgspec.DecodeError."""
    return _cursor.decode(text)


def _at(instant: datetime | None) -> int | None:
    return None if instant is None else micros(instant)
