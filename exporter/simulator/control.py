"""`/control`: the truth, the log, faults, runs made up and changes to the account, while it runs. JSON, no sign-in.

`GET /control` lists the calls and the kinds of faults. Durations and instants are real time, not script time.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from exporter.simulator.answers import truth_instant
from exporter.simulator.faults import KINDS, SCOPE, FaultError
from exporter.simulator.injection import make_run
from exporter.simulator.problems import ProblemError
from exporter.simulator.query import check_kinds, read_object
from exporter.simulator.reader import changed_answers
from exporter.simulator.script import Answers, Change
from exporter.simulator.steps import step_records
from exporter.simulator.table import ScriptError
from exporter.simulator.times import parse_duration, parse_instant
from exporter.simulator.truth import run_truth, whole_truth
from exporter.simulator.world import AlreadyFinishedError

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from exporter.simulator.account import Run
    from exporter.simulator.simulation import Entry, Simulation


_CALLS = {
    "GET truth": "everything true now; project, environment, pipeline, status, since=INSTANT, runs=0 (counts only)",
    "GET log": "every API request; since=INSTANT. DELETE forgets it",
    "GET, POST, DELETE faults": "what goes wrong on purpose; DELETE faults/ID for one",
    "GET, POST answers": "the API's dialect",
    "POST runs": "make up a run: pipelineName, and status, ago or startedAt, duration or finishedAt, message, ...",
    "GET, DELETE runs/ID": "one run with its steps; DELETE and the API no longer knows it",
    "POST runs/ID/end": "end it: status, message, finishedAt",
    "POST changes": "project, and environment, pipeline; with allowed, published, disabled or forbidden",
    "POST pipelines": "add one: project, environment, name, published",
    "POST clock": "offset of the server's clock from the machine's, such as -90s",
    "POST budget": "requests_per_minute: the account's from now on",
    "POST token/revoke": "kill all tokens",
}


def control_routes(simulation: Simulation) -> list[Route]:
    """Every control call."""
    control = _Control(simulation)
    return [
        Route("/control", control.help, methods=["GET"]),
        Route("/control/truth", control.truth, methods=["GET"]),
        Route("/control/log", control.log, methods=["GET", "DELETE"]),
        Route("/control/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/control/faults/{fault_id:int}", control.fault, methods=["DELETE"]),
        Route("/control/answers", control.answers, methods=["GET", "POST"]),
        Route("/control/runs", control.runs, methods=["POST"]),
        Route("/control/runs/{run_id}", control.run, methods=["GET", "DELETE"]),
        Route("/control/runs/{run_id}/end", control.end, methods=["POST"]),
        Route("/control/changes", control.changes, methods=["POST"]),
        Route("/control/pipelines", control.pipelines, methods=["POST"]),
        Route("/control/clock", control.clock, methods=["POST"]),
        Route("/control/budget", control.budget, methods=["POST"]),
        Route("/control/token/revoke", control.revoke, methods=["POST"]),
    ]


class _Control:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    async def help(self, _request: Request) -> Response:
        return JSONResponse({"calls": _CALLS, "faults": {kind: {**SCOPE, **own} for kind, own in KINDS.items()}})

    async def truth(self, request: Request) -> Response:
        self._simulation.now()
        return JSONResponse(whole_truth(self._simulation, request.query_params))

    async def log(self, request: Request) -> Response:
        log = self._simulation.log
        if request.method == "DELETE":
            log.clear()
            return JSONResponse({"requests": []})
        since = _since(request)
        return JSONResponse({"requests": [_entry(entry) for entry in log if since is None or entry.at >= since]})

    async def faults(self, request: Request) -> Response:
        now, faults = self._simulation.now(), self._simulation.faults
        if request.method == "DELETE":
            return JSONResponse({"removed": faults.remove()})
        if request.method == "GET":
            return JSONResponse({"faults": [fault.as_json(now) for fault in faults.faults]})
        try:
            fault = faults.add(await read_object(request))
        except FaultError as error:
            raise ProblemError(400, str(error)) from error
        return JSONResponse(fault.as_json(now), 201)

    async def fault(self, request: Request) -> Response:
        if not self._simulation.faults.remove(request.path_params["fault_id"]):
            raise ProblemError(404, "There is no such fault.")
        return JSONResponse({"removed": 1})

    async def answers(self, request: Request) -> Response:
        answers = self._simulation.answers
        if request.method == "POST":
            try:
                changed = asdict(changed_answers(answers, await read_object(request), source="control"))
            except ScriptError as error:
                raise ProblemError(400, str(error)) from error
            if changed["undated_order"] != answers.undated_order:
                raise ProblemError(400, "undated_order: only a script can set it")
            for key, value in changed.items():  # in place: the world holds the same object
                setattr(answers, key, value)
        return JSONResponse(asdict(answers))

    async def runs(self, request: Request) -> Response:
        self._simulation.now()
        run = make_run(self._simulation.world, await read_object(request))
        self._simulation.world.admit(run)
        return JSONResponse(run_truth(run), 201)

    async def run(self, request: Request) -> Response:
        now, world = self._simulation.now(), self._simulation.world
        run = self._run(request)
        steps = step_records(run, Answers(), now=now, scale=world.scale, known=world.runs)
        if request.method == "DELETE":
            world.forget(run)
        return JSONResponse({**run_truth(run), "steps": steps})

    async def end(self, request: Request) -> Response:
        self._simulation.now()
        run, body = self._run(request), await read_object(request)
        check_kinds(body, required={}, optional={"status": str, "message": str, "finishedAt": str})
        try:
            at = parse_instant(body["finishedAt"]) if body.get("finishedAt") else None
            status = body.get("status", "SUCCESS")
            self._simulation.world.end(run, status=status, at=at, message=body.get("message"))
        except AlreadyFinishedError as error:
            raise ProblemError(409, f"It has ended: {run.status}.") from error
        except ValueError as error:
            raise ProblemError(400, f"finishedAt: {error}") from error
        return JSONResponse(run_truth(run))

    async def changes(self, request: Request) -> Response:
        self._simulation.now()
        body, flag = await read_object(request), {"allowed": bool, "published": bool, "disabled": bool}
        texts = {"environment": str, "pipeline": str}
        check_kinds(body, required={"project": str}, optional={**texts, **flag, "forbidden": bool})
        project = self._simulation.world.project(body["project"])
        if project is None:
            raise ProblemError(404, f"There is no project {body['project']}.")
        unknown = set(body) - {"project", *texts, *flag, "forbidden"}
        if unknown:
            raise ProblemError(400, f"Unknown: {', '.join(sorted(unknown))}.")
        self._simulation.world.apply(Change(**{**body, "project": project.project_id}, at=timedelta()))
        return JSONResponse({"changed": True})

    async def pipelines(self, request: Request) -> Response:
        world, body = self._simulation.world, await read_object(request)
        check_kinds(body, required={"project": str, "environment": str, "name": str}, optional={"published": bool})
        project = world.project(body["project"])
        if project is None or body["environment"] not in project.spec.environments:
            raise ProblemError(404, "There is no such project or environment.")
        if world.pipeline(project, body["environment"], body["name"]) is not None:
            raise ProblemError(409, "There is such a pipeline.")
        world.add_pipeline(project, body["environment"], body["name"], published=body.get("published", True))
        return JSONResponse({"added": True}, 201)

    async def clock(self, request: Request) -> Response:
        body = await read_object(request)
        check_kinds(body, required={"offset": str}, optional={})
        try:
            self._simulation.offset = parse_duration(body["offset"])
        except ValueError as error:
            raise ProblemError(400, f"offset: {error}") from error
        return JSONResponse({"now": truth_instant(self._simulation.now())})

    async def budget(self, request: Request) -> Response:
        body = await read_object(request)
        check_kinds(body, required={"requests_per_minute": int}, optional={})
        self._simulation.budget.per_minute = max(1, body["requests_per_minute"])
        return JSONResponse(body)

    async def revoke(self, _request: Request) -> Response:
        return JSONResponse({"revoked": self._simulation.tokens.revoke()})

    def _run(self, request: Request) -> Run:
        run = self._simulation.world.runs.get(request.path_params["run_id"])
        if run is None:
            raise ProblemError(404, "There is no such run.")
        return run


def _since(request: Request) -> datetime | None:
    text = request.query_params.get("since")
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise ProblemError(400, f"since: {error}") from error


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "at": truth_instant(entry.at),
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "status": entry.answered,
        "seconds": entry.seconds,
        **entry.details,
    }
