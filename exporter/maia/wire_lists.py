"""The paged lists of the guide (projects, environments, published pipelines, schedules, steps): JSON to values.

Pure. Must not fetch: `exporter.maia.client` asks page after page and joins what `list_page` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from exporter.core.model import Project
from exporter.maia import fields
from exporter.maia.answers import Environment, PublishedPipeline, Rejection, Schedule, Step
from exporter.maia.fields import Notes, UnusableError

T = TypeVar("T")
Record = Mapping[str, Any]
Reader = Callable[[Record, str, Notes], T]
"""From a record, its path in the answer and the notes to a value; raises UnusableError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[T]):
    """One page: the records that could be read, and what the answer says of its own extent (0 where it does not)."""

    items: tuple[tuple[T, Record], ...]
    rejected: tuple[Rejection, ...]
    unrecognised: tuple[tuple[str, str], ...]
    length: int  # records on the page, the rejected ones included
    size: int
    total: int


def list_page(body: bytes, read: Reader[T]) -> ListPage[T]:
    """A page of a list whose records `read` understands. Raises UnreadableError."""
    envelope, found = fields.results(fields.decode(body))
    items: list[tuple[T, Record]] = []
    rejected: list[Rejection] = []
    notes = Notes()
    for index, record in enumerate(found):
        path = f"results[{index}]"
        try:
            if not isinstance(record, Mapping):
                raise UnusableError(path, f"expected an object, got {fields.kind(record)}")  # noqa: TRY301 - one way out
            items.append((read(record, path, notes), record))
        except UnusableError as error:
            rejected.append(Rejection(error.path, error.reason))
    return ListPage(
        items=tuple(items),
        rejected=tuple(rejected),
        unrecognised=tuple(notes),
        length=len(found),
        size=_extent(envelope, "size"),
        total=_extent(envelope, "total"),
    )


def project(record: Record, path: str, notes: Notes) -> Project:
    """A project; one without a name goes by its id."""
    project_id = fields.required(record, "id", path=path)
    name = fields.name(record, "name", notes, path=path) or project_id
    return Project(project_id, name, fields.text(record, "description", notes))


def environment(record: Record, path: str, notes: Notes) -> Environment:
    """An environment. The reference says `defaultAgentId`, the guide's prose `defaultAgentID`."""
    return Environment(
        name=fields.required(record, "name", path=path),
        default_agent_name=fields.text(record, "defaultAgentName", notes),
        default_agent_id=fields.text(record, "defaultAgentId", notes) or fields.text(record, "defaultAgentID", notes),
    )


def published_pipeline(record: Record, path: str, notes: Notes) -> PublishedPipeline:
    """A published pipeline."""
    return PublishedPipeline(
        name=fields.required(record, "name", path=path),
        published_at=fields.instant(record, "publishedTime", notes),
    )


def schedule(record: Record, path: str, notes: Notes) -> Schedule:
    """A schedule."""
    enabled = record.get("scheduleEnabled")
    if not isinstance(enabled, bool | None):
        notes.add("scheduleEnabled", enabled)
        enabled = None
    return Schedule(
        name=fields.required(record, "name", path=path),
        schedule_id=fields.text(record, "scheduleId", notes),
        pipeline_name=fields.text(record, "pipelineName", notes),
        environment_name=fields.text(record, "environmentName", notes),
        cron_expression=fields.text(record, "cronExpression", notes),
        cron_timezone=fields.text(record, "cronTimezone", notes),
        enabled=enabled,
        next_run_at=fields.instant(record, "nextRunAt", notes),
    )


def step(record: Record, path: str, notes: Notes) -> Step:  # noqa: ARG001 - a Reader; no field of a step is required
    """A step; its outcome is in `result`, the run it calls in `childPipeline`, either may be missing."""
    outcome = _object(record, "result", notes)
    child = _object(record, "childPipeline", notes)
    status_text = fields.text(outcome, "status", notes)
    return Step(
        step_id=fields.text(record, "id", notes),
        name=fields.text(record, "name", notes),
        status=fields.status(status_text, notes) if status_text else None,
        status_text=status_text,
        started_at=fields.instant(outcome, "startedAt", notes),
        finished_at=fields.instant(outcome, "finishedAt", notes),
        message=fields.text(outcome, "message", notes),
        child_run_id=fields.text(child, "id", notes),
        child_pipeline_name=fields.text(child, "name", notes),
    )


def _object(record: Record, key: str, notes: Notes) -> Record:
    value = record.get(key)
    if isinstance(value, Mapping):
        return value
    if value is not None:
        notes.add(key, value)
    return {}


def _extent(envelope: Record, key: str) -> int:
    value = envelope.get(key)
    return value if type(value) is int and value > 0 else 0
