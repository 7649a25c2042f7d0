"""Spells the world as the API's JSON, in the dialect that `Answers` sets.

Must not choose what to answer, nor change the world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.simulator.times import render_instant

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from exporter.simulator.account import Pipeline, Project, Run
    from exporter.simulator.script import Answers

_ZONES = ("Z", "+00:00", "", "+02:00")
_RUN_FIELDS = (
    "pipelineExecutionId",
    "pipelineName",
    "pipelineType",
    "projectId",
    "environmentName",
    "status",
    "trigger",
    "user",
    "scheduleId",
    "startedAt",
    "finishedAt",
    "message",
)


def instant_text(at: datetime, answers: Answers, run_id: str = "") -> str:
    """An instant in the dialect; with mixed times the run's id decides its form."""
    if not answers.mixed_times:
        return render_instant(at, digits=answers.fraction_digits or 0, zone=answers.zone)
    form = int(run_id[:4] or "0", 16)
    return render_instant(at, digits=form % 6 + 1, zone=_ZONES[form // 6 % 4])


def run_record(
    run: Run, answers: Answers, *, status: str | None = None, finished: bool | None = None
) -> dict[str, Any]:
    """A run as lists and reads show it; `status` and `finished` override what is true now."""
    finished = run.finished if finished is None else finished
    scheduled, by_hand = run.trigger == "SCHEDULE", run.trigger in ("DESIGNER", "SCHEDULE_RUN_NOW")
    record: dict[str, Any] = {
        "pipelineExecutionId": run.run_id,
        "pipelineName": run.pipeline.name,
        "pipelineType": run.pipeline.spec.type,
        "projectId": run.pipeline.project.project_id,
        "environmentName": run.pipeline.environment,
        "status": status or run.status,
        "trigger": run.trigger,
    }
    if by_hand and run.user:
        record["user"] = run.user
    if scheduled:
        record["scheduleId"] = run.pipeline.schedule_id
    if run.dated:
        record["startedAt"] = instant_text(run.created_at, answers, run.run_id)
        if finished and run.ends_at is not None:
            record["finishedAt"] = instant_text(run.ends_at, answers, run.run_id)
    if finished and run.message:
        record["message"] = run.message
    return {key: record.get(key) for key in _RUN_FIELDS} if answers.nulls else record


def truth_record(run: Run) -> dict[str, Any]:
    """A run with everything that is known of it, its instants in full."""
    record: dict[str, Any] = {
        "pipelineExecutionId": run.run_id,
        "pipelineName": run.pipeline.name,
        "pipelineType": run.pipeline.spec.type,
        "projectId": run.pipeline.project.project_id,
        "projectName": run.pipeline.project.name,
        "environmentName": run.pipeline.environment,
        "status": run.status,
        "trigger": run.trigger,
        "user": run.user if run.trigger in ("DESIGNER", "SCHEDULE_RUN_NOW") and run.user else None,
        "scheduleId": run.pipeline.schedule_id if run.trigger == "SCHEDULE" else None,
        "startedAt": truth_instant(run.started_at),
        "finishedAt": truth_instant(run.finished_at),
        "message": run.message if run.finished and run.message else None,
        "createdAt": truth_instant(run.created_at),
        "endedAt": truth_instant(run.ends_at) if run.finished else None,
        "endsAt": truth_instant(run.ends_at),
        "outcome": run.outcome,
        "askedToEndAt": truth_instant(run.asked_at),
        "forced": run.forced,
        "cancel": str(run.cancel),
        "executionTag": run.tag or None,
        "parentId": run.parent.run_id if run.parent else None,
        "childIds": [child.run_id for child in run.children],
    }
    return record


def truth_instant(at: datetime | None) -> str | None:
    """An instant with six fraction digits, in UTC."""
    return None if at is None else render_instant(at, digits=6)


def environment_record(project: Project, name: str, answers: Answers, agent_id: str) -> dict[str, Any]:
    """An environment of a project; without a default agent both its fields are absent."""
    agent = {"defaultAgentName": project.spec.agent, answers.agent_id_key: agent_id} if project.spec.agent else {}
    empty = {"defaultAgentName": None, answers.agent_id_key: None} if answers.nulls else {}
    return {"name": name, **empty, **agent}


def schedule_record(pipeline: Pipeline, answers: Answers, *, every: timedelta, next_at: datetime) -> dict[str, Any]:
    """The schedule of a pipeline that has one; its cron expression is the nearest that cron can say."""
    minutes = max(1, round(every.total_seconds() / 60))
    cron = f"0 0/{minutes} * * * ?" if minutes < 60 else f"0 0 0/{max(1, minutes // 60)} * * ?"
    return {
        "scheduleId": pipeline.schedule_id,
        "name": pipeline.name.rsplit("/", 1)[-1].split(".", 1)[0],
        "pipelineName": pipeline.name,
        "environmentName": pipeline.environment,
        "cronExpression": cron if minutes < 1440 else "0 0 2 * * ?",
        "cronTimezone": "UTC",
        "scheduleEnabled": not pipeline.disabled,
        "nextRunAt": instant_text(next_at, answers),
    }


def spoil(record: dict[str, Any], form: str) -> Any:
    """A record that nobody can read: without its id or name, or no object at all, or with a time that is none."""
    forms: dict[str, Any] = {
        "no_id": {key: value for key, value in record.items() if key not in ("pipelineExecutionId", "id")},
        "no_name": {key: value for key, value in record.items() if key not in ("pipelineName", "name")},
        "not_object": "pipeline-execution",
        "null": None,
        "bad_time": {**record, "startedAt": "yesterday"},
        "number_status": {**record, "status": 7},
    }
    return forms.get(form, forms["no_id"])
