"""Words what happened to a run or a pipeline as facts. Rendered when it is sent (`exporter.core.messages`).

Facts hold the API's words as they came; instants are written in UTC as `2026-01-31T02:14:09Z` and shown in the
reader's time zone later. Must not decide whether something is worth telling, or to whom.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exporter.core.durations import format_duration
from exporter.core.endings import row_of
from exporter.core.globs import pipeline_file
from exporter.core.inert import inert, shortened_middle
from exporter.core.notice import EventKind, Fact, Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.core.endings import InARow
    from exporter.core.expectations import Gap
    from exporter.core.model import PipelineKey
    from exporter.core.state import RunRecord

UNKNOWN = "unknown"
"""A project or environment that the API did not name."""

LATE_AFTER = timedelta(minutes=10)
"""What is told later than this after the run ended says so."""

MESSAGE = "message"
"""The label of the run's own message, which is cut when it is long."""

MESSAGE_KEPT = 1_500
"""Characters of a run's message that a notice keeps, a little more than are shown: thousands may wait in memory."""

TITLE_SAYS_IT_WITHIN = 60
"""Characters of a title that a phone's lock screen shows."""

_ID_SHOWN = 8  # characters of a project's id that tell two of one name apart
_NAME_SHOWN = 200
_UNFINISHED_SHOWN = 3
_PROJECT_BEGINS = 4  # characters of the project that the lock screen shows at least


def run_notice(
    event: EventKind,
    record: RunRecord,
    *,
    project: str,
    detected_at: datetime,
    occurred_at: datetime | None = None,
    stage: str = "",
    facts: Iterable[Fact] = (),
    after_message: Iterable[Fact] = (),
) -> Notice:
    """A notice about one run: `<run id>:<EVENT>`, with `:<stage>` where there is one.

    `project` is its label (`project_label`). `occurred_at` defaults to the run's end, else when it was seen finished
    or first seen. `facts` stand between the duration and the run's message, `after_message` at the end.
    """
    run = record.run
    occurred_at = occurred_at or run.finished_at or record.finished_seen_at or record.first_seen_at
    about = [*pipeline_facts(run.pipeline, project=project), Fact(label="status", value=run.status_text)]
    about.append(Fact(label="trigger", value=run.trigger.value))
    if run.user:
        about.append(Fact(label="user", value=run.user))
    about += [
        Fact(label=label, value=instant_text(instant))
        for label, instant in (("start", run.started_at), ("end", run.finished_at))
        if instant is not None
    ]
    if run.started_at is None and run.finished_at is None:
        about.append(Fact(label="first seen", value=instant_text(record.first_seen_at)))
    if run.started_at is not None and run.finished_at is not None:
        about.append(Fact(label="duration", value=format_duration(timedelta(seconds=run.duration_seconds))))
    about += facts
    if run.message:
        about.append(Fact(label=MESSAGE, value=run.message[:MESSAGE_KEPT]))
    return Notice(
        event_id=f"{run.run_id}:{event.value}" + (f":{stage}" if stage else ""),
        event=event,
        occurred_at=occurred_at,
        detected_at=detected_at,
        subject=subject_of(event, run.pipeline, project=project),
        facts=(*about, *after_message),
        run_id=run.run_id,
        pipeline=run.pipeline,
        late=run.finished_at is not None and detected_at - occurred_at > LATE_AFTER,
    )


def overdue_notice(gap: Gap, running: Iterable[RunRecord], *, project: str, detected_at: datetime) -> Notice:
    """A pipeline has not succeeded for too long; `running` are its unfinished runs."""
    pipeline = gap.pipeline
    since = instant_text(gap.since)
    facts = [
        *pipeline_facts(pipeline.key, project=project),
        Fact(label="expected", value=f"a success within {format_duration(gap.success_within)}"),
        Fact(label="last success", value=since if pipeline.last_success else f"none since it was first seen, {since}"),
    ]
    last = pipeline.last_run
    if last is None:
        facts.append(Fact(label="last run", value="none"))
    elif last.order != pipeline.last_success:
        facts.append(Fact(label="last run", value=f"{last.status.value}, {_unix_text(last.order[0])}"))
    facts += [
        Fact(label="unfinished", value=f"{record.run.status_text} since {instant_text(started_at)}")
        for record in running
        if record.followed and (started_at := record.run.started_at or record.first_seen_at)
    ][:_UNFINISHED_SHOWN]
    if pipeline.streak.length:
        facts.append(in_a_row_fact(row_of(pipeline.streak)))
    return Notice(
        event_id=gap.event_id,
        event=EventKind.OVERDUE,
        occurred_at=gap.overdue_at,
        detected_at=detected_at,
        subject=subject_of(EventKind.OVERDUE, pipeline.key, project=project),
        facts=tuple(facts),
        pipeline=pipeline.key,
    )


def in_a_row_fact(row: InARow) -> Fact:
    """How many failures in a row, since when."""
    return Fact(label="failures in a row", value=_in_a_row(row))


def was_broken_fact(row: InARow, waiting_since: float | None) -> Fact:
    """What a success has ended: failures, or a time without success."""
    if row.count:
        failures = "1 failure" if row.count == 1 else f"{row.count:,} failures in a row"
        since = f", since {instant_text(row.since)}" if row.since else ""
        return Fact(label="recovered from", value=failures + since)
    since = f" since {_unix_text(waiting_since)}" if waiting_since is not None else ""
    return Fact(label="recovered from", value=f"no success{since}")


def _in_a_row(row: InARow) -> str:
    return f"{row.count:,}, since {instant_text(row.since)}" if row.count > 1 and row.since else f"{row.count:,}"


def _unix_text(seconds: float) -> str:
    return instant_text(datetime.fromtimestamp(seconds, UTC))


def pipeline_facts(key: PipelineKey, *, project: str) -> tuple[Fact, ...]:
    """The facts that every notice about a pipeline begins with."""
    return (
        Fact(label="project", value=project),
        Fact(label="environment", value=key.environment_name or UNKNOWN),
        Fact(label="pipeline", value=key.pipeline_name or UNKNOWN),
    )


def subject_of(event: EventKind, key: PipelineKey, *, project: str) -> str:
    """`<pipeline without folders> in <environment> (<project>)`, inert, shortened only as far as a lock screen asks."""
    pipeline = inert(pipeline_file(key.pipeline_name), _NAME_SHOWN) or UNKNOWN
    environment = inert(key.environment_name, _NAME_SHOWN) or UNKNOWN
    project = inert(project, _NAME_SHOWN) or UNKNOWN
    room = TITLE_SAYS_IT_WITHIN - len(f"{event.value}:  in  (") - min(len(project), _PROJECT_BEGINS)
    if len(pipeline) + len(environment) > room:
        environment = shortened_middle(environment, max(12, room - len(pipeline)))
        pipeline = shortened_middle(pipeline, room - len(environment))
    return f"{pipeline} in {environment} ({shortened_middle(project, 60)})"


def project_label(names: Mapping[str, str], project_id: str) -> str:
    """What people call a project: its name, with the beginning of its id where another one has the same name."""
    return project_labels(names).get(project_id) or project_id or UNKNOWN


def project_labels(names: Mapping[str, str]) -> dict[str, str]:
    """`project_label` of every project whose name is known."""
    times = Counter(names.values())
    return {
        project_id: f"{name} ({project_id[:_ID_SHOWN]})" if times[name] > 1 else name
        for project_id, name in names.items()
        if name
    }


def instant_text(instant: datetime) -> str:
    """An instant as facts and ids hold it: UTC, to the second."""
    return f"{instant.astimezone(UTC).isoformat()[:19]}Z"  # strftime takes three times as long


def pipeline_id(key: PipelineKey) -> str:
    """A pipeline in an event id: `<project id>/<environment>/<path>`, with a hash for the end where that is long."""
    text = "/".join((key.project_id, key.environment_name, key.pipeline_name))
    if len(text) <= _NAME_SHOWN and text.isprintable():
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
    return "".join(filter(str.isprintable, text[: _NAME_SHOWN - 13])) + "~" + digest
