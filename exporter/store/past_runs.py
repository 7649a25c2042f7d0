"""How long recorded runs took, for looking back. Reads only; every function works on the caller's connection."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, func, select, type_coerce

from exporter.core.limits.replay import PastRun, PastRuns
from exporter.core.model import PipelineKey, Trigger
from exporter.store import schema
from exporter.store.schema import instant, micros

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row

_TRIGGERS = {trigger.value: trigger for trigger in Trigger}
_MICROSECOND = timedelta(microseconds=1)


def past_runs(connection: Connection, *, since: datetime, now: datetime, longer_than: timedelta) -> PastRuns:
    """The runs that started since `since`: how many of each kind, and those that took `longer_than` or more.

    A run that goes on has taken its time until `now`. A finished run without an end counts, and took nobody knows
    how long.
    """
    values = {"since": micros(since)}
    kinds = [(_kind(row), row.runs, instant(row.newest)) for row in connection.execute(_KINDS, values)]
    long = {**values, "now": micros(now), "longest": longer_than // _MICROSECOND}
    return PastRuns(
        counts={kind: runs for kind, runs, _ in kinds},
        newest={kind: newest for kind, _, newest in kinds},
        long=tuple(_past_run(row) for row in connection.execute(_LONG, long)),
    )


def _kind(row: Row[Any]) -> tuple[PipelineKey, Trigger]:
    pipeline = PipelineKey(row.project_id, row.environment_name, row.pipeline_name)
    return pipeline, _TRIGGERS.get(row.run_trigger, Trigger.UNKNOWN)


def _past_run(row: Row[Any]) -> PastRun:
    pipeline, trigger = _kind(row)
    return PastRun(
        run_id=row.run_id,
        pipeline=pipeline,
        trigger=trigger,
        started_at=row.started_at,
        took=timedelta(microseconds=row.took),
        status=row.status_text,
    )


# Statements, built once. Instants are compared and subtracted as the numbers that they are kept as.

_RUN = schema.run.c
_started = type_coerce(_RUN.started_at, BigInteger)
_finished = type_coerce(_RUN.finished_at, BigInteger)
_end = func.coalesce(_finished, bindparam("now", type_=BigInteger))
_SINCE = _started >= bindparam("since", type_=BigInteger)
_KIND = (_RUN.project_id, _RUN.environment_name, _RUN.pipeline_name, _RUN.run_trigger)
_KINDS = select(*_KIND, func.count().label("runs"), func.max(_started).label("newest")).where(_SINCE).group_by(*_KIND)
_KNOWN_END = _RUN.finished_at.is_not(None) | _RUN.finished_seen_at.is_(None)
_LONG = (
    select(_RUN.run_id, *_KIND, _RUN.started_at, _RUN.status_text, (_end - _started).label("took"))
    .where(_SINCE, _KNOWN_END, _RUN.vanished_at.is_(None), _end - _started >= bindparam("longest", type_=BigInteger))
    .order_by(_RUN.started_at, _RUN.run_id)
)
