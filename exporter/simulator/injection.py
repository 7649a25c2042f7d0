"""Makes a run from what the control endpoint is told.

Must not take it into the world: the caller does.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from exporter.simulator.account import UNFINISHED, Pipeline, Run
from exporter.simulator.lives import message_for
from exporter.simulator.problems import ProblemError
from exporter.simulator.query import check_kinds
from exporter.simulator.script import CancelManner
from exporter.simulator.times import floor_instant, parse_duration, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.simulator.world import World

_WHERE = ("pipelineName", "projectId", "projectName", "environmentName")
_WHAT = ("pipelineExecutionId", "status", "outcome", "message", "trigger", "user", "cancel", "executionTag")
_WHEN = ("startedAt", "finishedAt", "ago", "duration")


def make_run(world: World, body: dict[str, Any]) -> Run:
    """A run with the given fields; ProblemError 400 or 404 says what is wrong.

    Where: `pipelineName`, with `projectName` or `projectId` and `environmentName` where there are several; a pipeline
    that nobody knows becomes one that is not published. What: `status` (default RUNNING), `message`, `trigger`, `user`,
    `executionTag`, `cancel`, `pipelineExecutionId`. When: `startedAt` or `ago`, else now; `finishedAt` or `duration`,
    else a finished run ends now and an unfinished one never; `undated: true` gives it no times at all.
    An unfinished run with an end ahead ends then, as `outcome` (default SUCCESS). `unfinished: true` goes with a status
    that nobody knows.
    """
    texts = dict.fromkeys((*_WHERE, *_WHAT, *_WHEN), str)
    flags = {"undated": bool, "unfinished": bool}
    check_kinds(body, required={"pipelineName": str}, optional={**texts, **flags})
    known = sorted({**texts, **flags})
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise ProblemError(400, f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
    pipeline = _pipeline(world, body)
    status = body.get("status") or "RUNNING"
    unfinished = status in UNFINISHED or bool(body.get("unfinished"))
    try:
        start, end = _times(world, body, unfinished=unfinished)
        cancel = CancelManner(body.get("cancel") or pipeline.spec.cancel)
    except ValueError as error:
        raise ProblemError(400, str(error)) from error
    run = Run(
        run_id=body.get("pipelineExecutionId") or world.new_id(),
        pipeline=pipeline,
        created_at=start,
        ends_at=end,
        outcome=(body.get("outcome") or "SUCCESS") if unfinished else status,
        trigger=body.get("trigger") or "SCHEDULE",
        cancel=cancel,
        user=body.get("user") or "",
        dated=not body.get("undated", False),
        status=status,
        unheard_of=unfinished and status not in UNFINISHED,
        tag=body.get("executionTag") or "",
    )
    if run.run_id in world.runs:
        raise ProblemError(409, f"There is a run {run.run_id}.")
    given = body.get("message")
    run.message = message_for(run, run.outcome) if given is None else given
    return run


def _pipeline(world: World, body: dict[str, Any]) -> Pipeline:
    wanted = body.get("projectId") or body.get("projectName")
    if wanted is None:
        wanted = next((p.project.project_id for p in world.pipelines.values() if p.name == body["pipelineName"]), None)
    project = world.project(wanted) if wanted else next(iter(world.projects.values()))
    if project is None:
        raise ProblemError(404, f"There is no project {wanted}.")
    environment = body.get("environmentName") or next(
        (p.environment for p in world.pipelines.values() if p.project is project and p.name == body["pipelineName"]),
        project.spec.environments[0],
    )
    if environment not in project.spec.environments:
        raise ProblemError(404, f"There is no environment {environment} in {project.name}.")
    known = world.pipeline(project, environment, body["pipelineName"])
    return known or world.add_pipeline(project, environment, body["pipelineName"], published=False)


def _times(world: World, body: dict[str, Any], *, unfinished: bool) -> tuple[datetime, datetime | None]:
    start = end = floor_instant(world.now, world.digits)
    if body.get("startedAt"):
        start = parse_instant(body["startedAt"])
    elif body.get("ago"):
        start = floor_instant(world.now - parse_duration(body["ago"]), world.digits)
    if start > world.now:
        raise ValueError("startedAt: is in the future")
    if body.get("finishedAt"):
        end = parse_instant(body["finishedAt"])
    elif body.get("duration"):
        end = start + parse_duration(body["duration"])
    elif unfinished:
        return start, None
    if unfinished and end <= world.now:
        raise ValueError("finishedAt: an unfinished run cannot have ended")
    if not unfinished and end > world.now:
        raise ValueError("finishedAt: a finished run cannot end in the future")
    if end < start - timedelta(days=1):
        raise ValueError("finishedAt: is long before startedAt")
    return start, end
