"""Runs: from the API's JSON to the core's `Run`, record by record.

Pure. Must not fetch, log or know the clock. A whole page is decoded by type at once; only a page that does not fit is
read again the tolerant way, which skips a bad record and keeps the others. Both ways give the same runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.maia import fields
from exporter.maia.answers import Rejection, RunPage
from exporter.maia.fields import Notes, UnreadableError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class _RunRecord(msgspec.Struct, rename="camel"):
    pipeline_execution_id: str
    pipeline_name: str
    status: str
    pipeline_type: str | None = None
    project_id: str | None = None
    environment_name: str | None = None
    trigger: str | None = None
    user: str | None = None
    schedule_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str | None = None


class _RunRecords(msgspec.Struct):
    results: list[_RunRecord]
    more: str | None = None


_DECODER = msgspec.json.Decoder(_RunRecords)
_PAGES_KEPT = 8
"""Of an account where nothing happens, every poll gets the same bytes: their runs are the very same objects then."""

_ESCAPED_NUL = rb"\u0000"


def run_page(body: bytes, *, records: bool = False) -> RunPage:
    """A page of the list of executions; `records` keeps the API's own objects too. Raises UnreadableError."""
    if not records and _ESCAPED_NUL not in body:
        try:
            return _strict_page(body)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
            pass  # at least one record is unusual: look at each
    return _tolerant_page(fields.decode(body), records=records)


def one_run(body: bytes, *, project_id: str, run_id: str) -> tuple[Run, Notes, Mapping[str, Any]]:
    """The answer about one run, bare or wrapped, with what was not understood and the API's own object.

    A project that the answer omits is `project_id`. Raises UnreadableError, also when it is about another run.
    """
    record = fields.unwrapped(fields.decode(body))
    notes = Notes()
    try:
        run = _run(record, path="result", notes=notes, project_id=project_id)
    except UnusableError as error:
        raise UnreadableError(str(error)) from error
    if run.run_id.casefold() != run_id.casefold():
        raise UnreadableError(f"asked for run {run_id}, got run {run.run_id}")
    return run, notes, record


def run_status(body: bytes) -> tuple[Status, Notes]:
    """The light answer about one run. Raises UnreadableError."""
    notes = Notes()
    try:
        word = fields.required(fields.unwrapped(fields.decode(body)), "status", path="result")
    except UnusableError as error:
        raise UnreadableError(str(error)) from error
    return fields.status(word, notes), notes


def started_run_id(body: bytes) -> str:
    """The id of the run that a POST started. Raises UnreadableError."""
    try:
        return fields.required(fields.unwrapped(fields.decode(body)), "pipelineExecutionId", path="result")
    except UnusableError as error:
        raise UnreadableError(str(error)) from error


@lru_cache(_PAGES_KEPT)
def _strict_page(body: bytes) -> RunPage:
    page, notes = _DECODER.decode(body), Notes()
    if len(page.results) > fields.MOST_RECORDS or len(page.more or "") > fields.LONGEST_TOKEN:
        raise ValueError("more than a page has")
    runs = tuple(_typed(page.results, notes))
    return RunPage(runs=runs, more=page.more or None, unrecognised=tuple(notes))


def _typed(records: list[_RunRecord], notes: Notes) -> Iterator[Run]:
    # Written out flat: this is the first read of 100,000 runs.
    for record in records:
        if not (record.pipeline_execution_id and record.pipeline_name and record.status):
            raise ValueError("an empty text that must not be")
        project_id, environment_name = record.project_id or "", record.environment_name or ""
        user, schedule_id = record.user or "", record.schedule_id or ""
        length = len(record.pipeline_execution_id) + len(record.pipeline_name) + len(record.status) + len(project_id)
        length += len(environment_name) + len(user) + len(schedule_id) + len(record.pipeline_type or "")
        if length > fields.LONGEST_NAME:
            raise ValueError("perhaps a name that is too long")
        started_at, finished_at = record.started_at, record.finished_at
        yield Run(
            run_id=record.pipeline_execution_id,
            pipeline=PipelineKey(project_id, environment_name, record.pipeline_name),
            status=fields.STATUSES.get(record.status) or fields.status(record.status, notes),
            status_text=record.status,
            trigger=fields.trigger(record.trigger, notes) if record.trigger else Trigger.UNKNOWN,
            pipeline_type=record.pipeline_type or "",
            user=user,
            schedule_id=schedule_id,
            started_at=started_at and fields.in_utc(started_at),
            finished_at=finished_at and fields.in_utc(finished_at),
            message=record.message or "",
        )


def _tolerant_page(answer: object, *, records: bool) -> RunPage:
    envelope, found = fields.results(answer)
    runs: list[Run] = []
    kept: dict[str, Mapping[str, Any]] = {}
    rejected: list[Rejection] = []
    notes = Notes()
    for index, record in enumerate(found):
        path = f"results[{index}]"
        try:
            run = _run(record, path=path, notes=notes)
        except UnusableError as error:
            run_id = _id_of(record)
            content = 0 if run_id else crc32(repr(record).encode(errors="replace"))
            rejected.append(Rejection(error.path, error.reason, run_id, content))
        else:
            runs.append(run)
            if records:
                kept[run.run_id] = record
    return RunPage(
        runs=tuple(runs),
        more=fields.page_token(envelope),
        rejected=tuple(rejected),
        unrecognised=tuple(notes),
        records=kept,
    )


def _run(record: object, *, path: str, notes: Notes, project_id: str = "") -> Run:
    if not isinstance(record, Mapping):
        raise UnusableError(path, f"expected an object, got {fields.kind(record)}")
    run_id = fields.required(record, "pipelineExecutionId", path=path)
    pipeline_name = fields.required(record, "pipelineName", path=path)
    status_text = fields.required(record, "status", path=path)
    return Run(
        run_id=run_id,
        pipeline=PipelineKey(
            fields.name(record, "projectId", notes, path=path) or project_id,
            fields.name(record, "environmentName", notes, path=path),
            pipeline_name,
        ),
        status=fields.status(status_text, notes),
        status_text=status_text,
        trigger=fields.trigger(fields.text(record, "trigger", notes), notes),
        pipeline_type=fields.name(record, "pipelineType", notes, path=path),
        user=fields.name(record, "user", notes, path=path),
        schedule_id=fields.name(record, "scheduleId", notes, path=path),
        started_at=fields.instant(record, "startedAt", notes),
        finished_at=fields.instant(record, "finishedAt", notes),
        message=fields.text(record, "message", notes),
    )


def _id_of(record: object) -> str:
    value = record.get("pipelineExecutionId") if isinstance(record, Mapping) else None
    return fields.clean(value[: fields.LONGEST_NAME]) if isinstance(value, str) else ""
