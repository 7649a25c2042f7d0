"""What is true in the account, in full and at once: what tests and checks hold the exporter's answers against.

Must not go through lists, dialects or faults.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from exporter.simulator.answers import truth_instant, truth_record
from exporter.simulator.problems import ProblemError
from exporter.simulator.times import parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.datastructures import QueryParams

    from exporter.simulator.account import Pipeline, Run
    from exporter.simulator.simulation import Simulation

run_truth = truth_record
_SUBJECTS = ("project", "environment", "pipeline", "status", "since", "runs")


def whole_truth(simulation: Simulation, params: QueryParams) -> dict[str, Any]:
    """The account now. Filters: `project` (name or id), `environment`, `pipeline`, `status` (exact; repeatable),
    `since` (runs created, ended or asked to end at or after it), `runs=0` (counts only).
    """
    unknown = sorted(set(params) - set(_SUBJECTS))
    if unknown:
        raise ProblemError(400, f"unknown: {', '.join(unknown)}; known are {', '.join(_SUBJECTS)}")
    world = simulation.world
    since = _instant(params.get("since"))
    statuses = set(params.getlist("status"))
    pipelines = []
    for pipeline in world.pipelines.values():
        if not _wanted(pipeline, params):
            continue
        runs = [
            run
            for run in world.index.newest_first(pipelines=[pipeline])
            if (not statuses or run.status in statuses) and (since is None or _touched_at(run) >= since)
        ]
        pipelines.append(_pipeline_truth(pipeline, runs, with_runs=params.get("runs") != "0"))
    return {
        "now": truth_instant(world.now),
        "epoch": truth_instant(world.epoch),
        "began": truth_instant(world.began_at),
        "clockOffsetSeconds": simulation.offset.total_seconds(),
        "script": world.script.name,
        "seed": world.seed,
        "speed": world.speed,
        "projects": [
            {
                "id": project.project_id,
                "name": project.name,
                "environments": list(project.spec.environments),
                "forbidden": project.forbidden,
                "deniedEnvironments": sorted(project.denied),
            }
            for project in world.projects.values()
        ],
        "totalRuns": sum(pipeline["totalRuns"] for pipeline in pipelines),
        "pipelines": pipelines,
    }


def _pipeline_truth(pipeline: Pipeline, runs: list[Run], *, with_runs: bool) -> dict[str, Any]:
    truth: dict[str, Any] = {
        "projectId": pipeline.project.project_id,
        "projectName": pipeline.project.name,
        "environmentName": pipeline.environment,
        "pipelineName": pipeline.name,
        "pipelineType": pipeline.spec.type,
        "published": pipeline.published,
        "disabled": pipeline.disabled,
        "scheduleId": pipeline.schedule_id if pipeline.scheduled else None,
        "totalRuns": len(runs),
        "statuses": dict(Counter(run.status for run in runs)),
    }
    if with_runs:
        truth["runs"] = [truth_record(run) for run in runs]
    return truth


def _wanted(pipeline: Pipeline, params: QueryParams) -> bool:
    return (
        params.get("project") in (None, pipeline.project.project_id, pipeline.project.name)
        and params.get("environment") in (None, pipeline.environment)
        and params.get("pipeline") in (None, pipeline.name)
    )


def _touched_at(run: Run) -> datetime:
    instants = [run.created_at, run.asked_at, run.ends_at if run.finished else None]
    return max(at for at in instants if at is not None)


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise ProblemError(400, f"since: {error}") from error
