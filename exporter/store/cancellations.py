"""Reads and writes what `exporter.core.limits.runs` holds. Every function works on the caller's connection.

Must not begin or end transactions, nor decide anything. Requests are compared before they are set: who would write
over somebody else's gets `RequestClash`, and must not send.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from exporter.core.limits.breaker import Breaker
from exporter.core.limits.rules import LimitRule
from exporter.core.limits.runs import (
    Answer,
    CancelRequest,
    LimitChange,
    LimitCounts,
    LimitedRun,
    Limits,
    RequestMode,
    Stage,
)
from exporter.core.model import PipelineKey, Trigger
from exporter.store import limit_schema as tables
from exporter.store.errors import StoreError, damaged, place_of
from exporter.store.schema import micros
from exporter.store.upsert import Upsert

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Executable, Row

_THE_BREAKER = 1
_encode = msgspec.json.Encoder().encode
_rule = msgspec.json.Decoder(LimitRule).decode
_counts = msgspec.json.Decoder(LimitCounts).decode
_asked_at = msgspec.json.Decoder(tuple[datetime, ...]).decode


class RequestClash(StoreError):  # noqa: N818 - named as people name it, like the other leaves of StoreError
    """Somebody else has written this request since we read it: what we hold is out of date, load it again."""


def load(connection: Connection) -> Limits:
    """All that is kept in memory: runs whose end was not seen, counters, the breaker. Raises StoreCorrupt."""
    try:
        requests: dict[str, dict[str, CancelRequest]] = {}
        for row in connection.execute(_OPEN_REQUESTS):
            requests.setdefault(row.run_id, {})[row.mode] = _request(row)
        runs = {row.run_id: _run(row, requests.get(row.run_id, {})) for row in connection.execute(_OPEN_RUNS)}
        return Limits(
            runs=runs,
            counts={_key(row): _counts(row.counts) for row in connection.execute(_COUNTS)},
            breaker=read_breaker(connection),
            matched_at={row.limit_name: row.matched_at for row in connection.execute(_MATCHES)},
            over_now=frozenset(runs),
        )
    except (msgspec.DecodeError, ValueError) as error:
        raise damaged(
            place_of(connection.engine.url), "read the limits", f"a row holds what we never wrote ({error})"
        ) from error


def write(connection: Connection, change: LimitChange) -> None:
    """Write a step's rows; a request that may have been sent by somebody else since raises RequestClash.

    Writing the same change again changes nothing, but for a request that is about to be sent: that clashes.
    """
    for run_id, request in change.requests:
        _write_request(connection, run_id, request)
    _UPSERT_RUNS(connection, [_run_row(limited) for limited in change.runs])
    _UPSERT_COUNTS(connection, [(*_key_of(key), _encode(counts).decode()) for key, counts in change.counts])
    _UPSERT_MATCHES(connection, [(limit, micros(at)) for limit, at in change.matched_at])
    if change.breaker is not None:
        _write_breaker(connection, change.breaker, opened=change.opened)


def read_breaker(connection: Connection) -> Breaker:
    """The breaker as the record has it: a person may have closed it from another process."""
    row = connection.execute(_BREAKER).one_or_none()
    return Breaker() if row is None else Breaker(opened_at=row.opened_at, asked_at=_asked_at(row.asked_at))


def resume(connection: Connection) -> Breaker | None:
    """Close the breaker and count from nothing. The one that was open, or None when it was not."""
    before = read_breaker(connection)
    if not before.is_open:
        return None
    connection.execute(_RESUME)
    return before


def cancelled_by_us(connection: Connection, run_id: str) -> bool:
    """Whether a run's CANCELLED was our doing."""
    stage = connection.execute(_STAGE, {"id": run_id}).scalar()
    return stage == Stage.CANCELLED


def past_limit(connection: Connection, run_ids: Collection[str]) -> dict[str, LimitedRun]:
    """Those of these runs that went past a limit, by id, whether they have ended or not."""
    found: dict[str, LimitedRun] = {}
    ids = list(run_ids)
    for start in range(0, len(ids), _AT_ONCE):
        some = {"ids": ids[start : start + _AT_ONCE]}
        requests: dict[str, dict[str, CancelRequest]] = {}
        for row in connection.execute(_REQUESTS_OF, some):
            requests.setdefault(row.run_id, {})[row.mode] = _request(row)
        for row in connection.execute(_RUNS_OF, some):
            found[row.run_id] = _run(row, requests.get(row.run_id, {}))
    return found


def prune(connection: Connection, *, before: datetime, limit: int) -> int:
    """Forget at most `limit` runs whose end was seen before `before`; how many. Counters stay."""
    ids = list(connection.execute(_PRUNABLE, {"before": before, "limit": limit}).scalars())
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        connection.execute(_DELETE_REQUESTS, {"ids": some})
        connection.execute(_DELETE_RUNS, {"ids": some})
    return len(ids)


# Requests


def _write_request(connection: Connection, run_id: str, request: CancelRequest) -> None:
    """Set a request from the version before it, or not at all."""
    values = _request_row(run_id, request)
    if request.version == 1:
        done = connection.execute(_INSERT_REQUEST[connection.dialect.name], values).rowcount
    else:
        known = {"the_run": run_id, "the_mode": request.mode.value, "the_version": request.version - 1}
        done = connection.execute(_UPDATE_REQUEST, {**values, **known}).rowcount
    if done:
        return
    row = connection.execute(_ONE_REQUEST, {"id": run_id, "mode": request.mode.value}).one_or_none()
    if request.answer is Answer.SENT or row is None or _request(row) != request:
        raise RequestClash(
            f"write the limits: the {request.mode.value} request of run {run_id} was changed by somebody else; "
            "nothing is sent, and it is read again"
        )


def _request_row(run_id: str, request: CancelRequest) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "mode": request.mode.value,
        "version": request.version,
        "answer": request.answer.value,
        "tries": request.tries,
        "decided_at": request.decided_at,
        "sent_at": request.sent_at,
        "first_sent_at": request.first_sent_at,
        "detail": request.detail,
        "rule": _encode(request.rule).decode(),
    }


def _request(row: Row[Any]) -> CancelRequest:
    return CancelRequest(
        mode=RequestMode(row.mode),
        rule=_rule(row.rule),
        decided_at=row.decided_at,
        version=row.version,
        answer=Answer(row.answer),
        tries=row.tries,
        sent_at=row.sent_at,
        first_sent_at=row.first_sent_at,
        detail=row.detail,
    )


# Runs, the breaker


def _run_row(limited: LimitedRun) -> tuple[Any, ...]:
    return (
        limited.run_id,
        *_key_of(limited.pipeline),
        limited.trigger.value,
        micros(limited.started_at),
        limited.limit,
        limited.stage.value,
        micros(limited.over_at),
        None if limited.closed_at is None else micros(limited.closed_at),
    )


def _run(row: Row[Any], requests: dict[str, CancelRequest]) -> LimitedRun:
    return LimitedRun(
        run_id=row.run_id,
        pipeline=_key(row),
        trigger=Trigger(row.run_trigger),
        started_at=row.started_at,
        limit=row.limit_name,
        stage=Stage(row.stage),
        over_at=row.over_at,
        polite=requests.get(RequestMode.POLITE),
        force=requests.get(RequestMode.FORCE),
        closed_at=row.closed_at,
    )


def _write_breaker(connection: Connection, breaker: Breaker, *, opened: bool) -> None:
    """Its opening is written once, when it opens: a person may close it at any time."""
    asked_at = _encode(breaker.asked_at).decode()
    if opened:
        opened_at = None if breaker.opened_at is None else micros(breaker.opened_at)
        _UPSERT_BREAKER(connection, [(_THE_BREAKER, opened_at, asked_at)])
    elif not connection.execute(_SET_ASKED, {"asked": asked_at}).rowcount:
        _UPSERT_BREAKER(connection, [(_THE_BREAKER, None, asked_at)])


def _key_of(pipeline: PipelineKey) -> tuple[str, str, str]:
    return pipeline.project_id, pipeline.environment_name, pipeline.pipeline_name


def _key(row: Row[Any]) -> PipelineKey:
    return PipelineKey(row.project_id, row.environment_name, row.pipeline_name)


# Statements, built once.

_AT_ONCE = 500
_RUN, _REQUEST = tables.limited_run.c, tables.cancel_request.c
_UPSERT_RUNS = Upsert(tables.limited_run)
_UPSERT_COUNTS = Upsert(tables.limit_count)
_UPSERT_MATCHES = Upsert(tables.limit_match)
_UPSERT_BREAKER = Upsert(tables.breaker)
_OPEN_RUNS = select(tables.limited_run).where(tables.OPEN)
_OPEN_REQUESTS = (
    select(tables.cancel_request).join(tables.limited_run, _RUN.run_id == _REQUEST.run_id).where(tables.OPEN)
)
_REQUESTS_OF = select(tables.cancel_request).where(_REQUEST.run_id.in_(bindparam("ids", expanding=True)))
_RUNS_OF = select(tables.limited_run).where(_RUN.run_id.in_(bindparam("ids", expanding=True)))
_ONE_REQUEST = select(tables.cancel_request).where(
    _REQUEST.run_id == bindparam("id"), _REQUEST.mode == bindparam("mode")
)
_INSERT_REQUEST: dict[str, Executable] = {
    "sqlite": sqlite.insert(tables.cancel_request).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(tables.cancel_request).on_conflict_do_nothing(),
}
_UPDATE_REQUEST = update(tables.cancel_request).where(
    _REQUEST.run_id == bindparam("the_run"),
    _REQUEST.mode == bindparam("the_mode"),
    _REQUEST.version == bindparam("the_version"),
)
_COUNTS = select(tables.limit_count)
_MATCHES = select(tables.limit_match)
_BREAKER = select(tables.breaker).where(tables.breaker.c.id == _THE_BREAKER)
_SET_ASKED = update(tables.breaker).where(tables.breaker.c.id == _THE_BREAKER).values(asked_at=bindparam("asked"))
_RESUME = update(tables.breaker).where(tables.breaker.c.id == _THE_BREAKER).values(opened_at=None, asked_at="[]")
_STAGE = select(_RUN.stage).where(_RUN.run_id == bindparam("id"))
_PRUNABLE = (
    select(_RUN.run_id)
    .where(_RUN.closed_at < bindparam("before", type_=tables.limited_run.c.closed_at.type))
    .order_by(_RUN.closed_at)
    .limit(bindparam("limit"))
)
_DELETE_REQUESTS = delete(tables.cancel_request).where(_REQUEST.run_id.in_(bindparam("ids", expanding=True)))
_DELETE_RUNS = delete(tables.limited_run).where(_RUN.run_id.in_(bindparam("ids", expanding=True)))
