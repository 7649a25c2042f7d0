"""The calls of the Maia API under `/dpc/v1`.

Must not keep state, nor know what is wrong with the connection.
"""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from exporter.simulator.account import named_id
from exporter.simulator.answers import environment_record, instant_text, run_record, schedule_record, spoil
from exporter.simulator.listing import Lens, list_runs, page_of
from exporter.simulator.problems import ProblemError
from exporter.simulator.query import check_kinds, read_list_query, read_object, read_page
from exporter.simulator.steps import step_records
from exporter.simulator.times import floor_instant
from exporter.simulator.world import AlreadyFinishedError, DisabledError, TagConflictError

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from exporter.simulator.account import Project, Run
    from exporter.simulator.simulation import Simulation


def api_routes(simulation: Simulation) -> list[Route]:
    """Every documented call."""
    api = _Api(simulation)
    project = "/dpc/v1/projects/{project_id}"
    execution = project + "/pipeline-executions/{run_id}"
    return [
        Route("/dpc/v1/projects", api.projects, methods=["GET"]),
        Route(project + "/environments", api.environments, methods=["GET"]),
        Route(project + "/published-pipelines", api.published_pipelines, methods=["GET"]),
        Route(project + "/schedules", api.schedules, methods=["GET"]),
        Route("/dpc/v1/pipeline-executions", api.executions, methods=["GET"]),
        Route(project + "/pipeline-executions", api.execute, methods=["POST"]),
        Route(execution, api.execution, methods=["GET"]),
        Route(execution, api.terminate, methods=["PATCH"]),
        Route(execution + "/status", api.status, methods=["GET"]),
        Route(execution + "/steps", api.steps, methods=["GET"]),
    ]


class _Api:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    async def projects(self, request: Request) -> Response:
        self._enter(request)
        records = [
            {"id": each.project_id, "name": each.name, "description": each.spec.description}
            for each in self._simulation.world.projects.values()
        ]
        return self._page(request, records)

    async def environments(self, request: Request) -> Response:
        self._enter(request)
        project, answers = self._project(request), self._simulation.answers
        agent_id = named_id(project.project_id, "agent", project.spec.agent)
        names = project.spec.environments
        return self._page(request, [environment_record(project, name, answers, agent_id) for name in names])

    async def published_pipelines(self, request: Request) -> Response:
        self._enter(request)
        project = self._project(request)
        environment = request.query_params.get("environmentName", "")
        if environment and environment not in project.spec.environments:
            raise ProblemError(404, f"There is no environment {environment}.")
        published = {
            pipeline.name: pipeline.published_at
            for pipeline in self._simulation.world.pipelines.values()
            if pipeline.project is project and pipeline.published and environment in ("", pipeline.environment)
        }
        answers = self._simulation.answers
        return self._page(
            request,
            [{"name": name, "publishedTime": instant_text(at, answers)} for name, at in published.items()],
        )

    async def schedules(self, request: Request) -> Response:
        now = self._enter(request)
        project, world = self._project(request), self._simulation.world
        records = []
        for pipeline in world.pipelines.values():
            every = pipeline.spec.every
            if pipeline.project is project and pipeline.published and pipeline.scheduled and every is not None:
                gap = every / world.scale
                next_at = floor_instant(now + gap - (now - world.began_at) % gap, 0)
                records.append(schedule_record(pipeline, self._simulation.answers, every=every, next_at=next_at))
        return self._page(request, records)

    async def executions(self, request: Request) -> Response:
        now = self._enter(request)
        answers, world = self._simulation.answers, self._simulation.world
        query = read_list_query(request.query_params, status_values=answers.status_values)
        if query.project_id and query.project_id in world.projects:
            self._allow(world.projects[query.project_id])
        stale = self._fault("stale", request, now)
        as_of = None if stale is None else now - timedelta(seconds=stale["seconds"])
        shifting = self._fault("shift", request, now) is not None
        lens = Lens(as_of=as_of, late=self._fault("late", request, now), shifting=shifting)
        runs, more = list_runs(world, query, answers, lens)
        if as_of is None:
            records: list[Any] = [run_record(run, answers) for run in runs]
        else:
            records = [_record_then(run, as_of, simulation=self._simulation) for run in runs]
        if unknown := self._fault("unknown_status", request, now):
            for record in records[: int(unknown["records"])]:
                record["status"] = unknown["value"]
        body: dict[str, Any] = {"results": records}
        self._spoil(request, body)
        if more is not None or answers.nulls:
            body["more"] = more
        return JSONResponse(body)

    async def execution(self, request: Request) -> Response:
        self._enter(request)
        answers = self._simulation.answers
        record = run_record(self._run(request), answers)
        if answers.run_omits_project_id:
            del record["projectId"]
        return JSONResponse({"result": record} if answers.wrapped_run else record)

    async def status(self, request: Request) -> Response:
        self._enter(request)
        run = self._run(request)
        return JSONResponse({"pipelineExecutionId": run.run_id, "status": run.status})

    async def steps(self, request: Request) -> Response:
        now = self._enter(request)
        world, answers = self._simulation.world, self._simulation.answers
        records = step_records(self._run(request), answers, now=now, scale=world.scale, known=world.runs)
        return self._page(request, records, total=answers.steps_total)

    async def execute(self, request: Request) -> Response:
        self._enter(request)
        project, world = self._project(request), self._simulation.world
        body = await read_object(request)
        check_kinds(
            body,
            required={"pipelineName": str, "environmentName": str},
            optional={
                "versionName": str,
                "executionTag": str,
                "agentId": str,
                "scalarVariables": dict,
                "gridVariables": dict,
            },
        )
        _check_variables(body)
        pipeline = world.pipeline(project, body["environmentName"], body["pipelineName"])
        if pipeline is None or not pipeline.published:
            raise ProblemError(404, f"{body['pipelineName']} is not published to {body['environmentName']}.")
        try:
            run = world.execute(pipeline, tag=body.get("executionTag") or "")
        except TagConflictError as error:
            raise ProblemError(409, f"A run with the tag {error} is still going in this environment.") from error
        except DisabledError as error:
            raise ProblemError(410, f"The pipeline {error} is disabled.") from error
        return JSONResponse({"pipelineExecutionId": run.run_id}, 201)

    async def terminate(self, request: Request) -> Response:
        now = self._enter(request)
        run, world = self._run(request), self._simulation.world
        details = request.scope["simulator.entry"].details
        details |= {"run_id": run.run_id, "true_status": run.status, "applied": False}
        body = await read_object(request)
        check_kinds(body, required={"status": str, "forceUpdate": bool}, optional={})
        details["force"] = body["forceUpdate"]
        if body["status"] != "CANCELLED":
            raise ProblemError(400, "Not valid.", violations=(("status", "must be CANCELLED"),))
        race = self._fault("patch_race", request, now)
        if race is not None and not run.finished:
            world.end(run, status=race["outcome"])
            details["raced"] = True
        try:
            world.cancel(run, force=body["forceUpdate"])
        except AlreadyFinishedError as error:
            answer = self._simulation.answers.cancel_finished
            if answer != 200:
                raise ProblemError(answer, f"The run has ended: {run.status}.") from error
        else:
            details["applied"] = True
        return JSONResponse({"pipelineExecutionId": run.run_id})

    # What every call does first, and what several need

    def _enter(self, request: Request) -> datetime:
        """Move the world on, check the token and the budget; says what time it is."""
        simulation = self._simulation
        now = simulation.now()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not simulation.tokens.accept(token.strip(), now):
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ProblemError(401, "The token is missing, unknown or expired.", headers=headers)
        if wait := simulation.budget.take(now):
            raise ProblemError(429, "Too many requests.", headers={"Retry-After": retry_after(simulation, now, wait)})
        return now

    def _allow(self, project: Project) -> Project:
        if project.forbidden:
            raise ProblemError(403, "These credentials have no role in this project.")
        return project

    def _project(self, request: Request) -> Project:
        project = self._simulation.world.projects.get(request.path_params["project_id"])
        if project is None:
            raise ProblemError(404, "There is no such project.")
        return self._allow(project)

    def _run(self, request: Request) -> Run:
        project = self._project(request)
        run = self._simulation.world.runs.get(request.path_params["run_id"])
        if run is None or run.pipeline.project is not project:
            raise ProblemError(404, "There is no such pipeline execution.")
        return run

    def _page(self, request: Request, records: list[dict[str, Any]], *, total: bool = True) -> Response:
        page, size = read_page(request.query_params)
        body = page_of(records, page, size, self._simulation.answers, total=total)
        self._spoil(request, body)
        return JSONResponse(body)

    def _spoil(self, request: Request, body: dict[str, Any]) -> None:
        if fault := self._fault("malformed", request, self._simulation.now()):
            count = int(fault["records"])
            body["results"][:count] = [spoil(record, fault["form"]) for record in body["results"][:count]]

    def _fault(self, kind: str, request: Request, now: datetime) -> dict[str, Any] | None:
        return self._simulation.faults.hit(
            kind, method=request.method, path=request.url.path, query=request.url.query, now=now
        )


def retry_after(simulation: Simulation, now: datetime, seconds: float) -> str:
    """The header in the dialect: seconds, or a date on the server's clock."""
    if simulation.answers.retry_after == "date":
        return format_datetime(now + timedelta(seconds=seconds + 1), usegmt=True)
    return str(round(seconds))


def _record_then(run: Run, as_of: datetime, *, simulation: Simulation) -> dict[str, Any]:
    status = run.status_at(as_of)
    return run_record(run, simulation.answers, status=status, finished=status not in ("RUNNING", "CANCELLING"))


def _check_variables(body: dict[str, Any]) -> None:
    wrong = [
        (f"scalarVariables.{name}", "must be a string")
        for name, value in (body.get("scalarVariables") or {}).items()
        if not isinstance(value, str)
    ]
    for name, rows in (body.get("gridVariables") or {}).items():
        fine = isinstance(rows, list) and all(
            isinstance(row, list) and all(isinstance(cell, str) for cell in row) for row in rows
        )
        if not fine:
            wrong.append((f"gridVariables.{name}", "must be rows of strings"))
    if wrong:
        raise ProblemError(400, "The request is not valid.", violations=tuple(wrong))
