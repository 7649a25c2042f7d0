"""Every call against the simulator, over sockets, held against its own truth, in every dialect of the API."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from exporter.clock import SystemClock
from exporter.core.model import Run, Status
from exporter.maia import ExecuteRequest, MaiaClient, MaiaSettings, RunQuery
from exporter.maia.errors import (
    BadAnswer,
    Conflict,
    Forbidden,
    Gone,
    MaiaError,
    NetworkFailed,
    NotFound,
    RateLimited,
    Refused,
    ServerFailed,
    TimedOut,
    Unauthorized,
)
from exporter.simulator.server import ServedSimulator, serve

from .conftest import Heard


@pytest.fixture(scope="module")
def simulator() -> Iterator[ServedSimulator]:
    """An account with history in which nothing starts or ends by itself."""
    with serve("calm", speed=0) as served:
        yield served


@pytest.fixture
def control(simulator: ServedSimulator) -> Iterator[Callable[..., Any]]:
    """Talks to the control endpoint; what it changes is undone."""
    with httpx.Client(base_url=simulator.control_url, trust_env=False) as http:
        before = http.get("answers").json()

        def ask(method: str, path: str, /, **body: Any) -> Any:
            response = http.request(method, path, json=body) if body else http.request(method, path)
            response.raise_for_status()
            return response.json()

        yield ask
        http.delete("faults")
        http.post("clock", json={"offset": "0s"})
        http.post("answers", json={key: value for key, value in before.items() if key != "undated_order"})


def settings_of(simulator: ServedSimulator, **changes: Any) -> MaiaSettings:
    values: dict[str, Any] = {
        "api_url": simulator.api_url,
        "token_url": simulator.token_url,
        "client_id": "demo",
        "client_secret": "demo",
        "requests_per_minute": 100_000,
    }
    return MaiaSettings(**(values | changes))


@pytest.fixture
def client(simulator: ServedSimulator, heard: Heard) -> Iterator[MaiaClient]:
    with MaiaClient(settings_of(simulator), clock=SystemClock(), stop=threading.Event(), watcher=heard) as client:
        yield client


def truth(control: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """Every run as the simulator knows it, by id."""
    pipelines = control("GET", "truth")["pipelines"]
    return {run["pipelineExecutionId"]: run for pipeline in pipelines for run in pipeline["runs"]}


def as_truth(run: Run) -> dict[str, Any]:
    """What the truth must say of a run that was read."""

    def text(at: datetime | None) -> str | None:
        return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    return {
        "pipelineExecutionId": run.run_id,
        "pipelineName": run.pipeline.pipeline_name,
        "pipelineType": run.pipeline_type,
        "projectId": run.pipeline.project_id,
        "environmentName": run.pipeline.environment_name,
        "status": run.status.value,
        "trigger": run.trigger.value,
        "user": run.user or None,
        "scheduleId": run.schedule_id or None,
        "startedAt": text(run.started_at),
        "finishedAt": text(run.finished_at),
        "message": run.message or None,
    }


def assert_true(run: Run, known: dict[str, dict[str, Any]]) -> None:
    read = as_truth(run)
    assert read == {key: known[run.run_id][key] for key in read}


DIALECTS = [
    {},
    {"wrapped_run": False},
    {"run_omits_project_id": True},
    {"nulls": True},
    {"fraction_digits": 6},
    {"mixed_times": True},
    {"zone": ""},
    {"zone": "+02:00"},
    {"page_tokens": "offset"},
    {"page_counts": False},
    {"steps_total": False},
    {"agent_id_key": "defaultAgentID"},
]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_everything_that_is_read_is_true_in_every_dialect(
    simulator: ServedSimulator, client: MaiaClient, control: Callable[..., Any], heard: Heard, dialect: dict[str, Any]
):
    if dialect:
        control("POST", "answers", **dialect)
    known = truth(control)

    whole = client.all_runs(RunQuery())
    assert len(whole.runs) == len(known) > 100
    for run in whole.runs:
        assert_true(run, known)

    some = whole.runs[0]
    project_id = some.pipeline.project_id
    assert client.get_run(project_id, some.run_id) == some
    assert client.get_run_status(project_id, some.run_id) is some.status
    steps = control("GET", f"runs/{some.run_id}")["steps"]
    assert [step.name for step in client.steps(project_id, some.run_id)] == [step["name"] for step in steps] != []

    account = control("GET", "truth")
    projects = client.projects()
    assert {(each.project_id, each.name) for each in projects} == {(p["id"], p["name"]) for p in account["projects"]}
    for project in account["projects"]:
        of_it = [p for p in account["pipelines"] if p["projectId"] == project["id"]]
        environments = client.environments(project["id"])
        assert [each.name for each in environments] == project["environments"]
        assert {bool(each.default_agent_id) for each in environments} == {project["name"] == "Finance"}
        for environment in project["environments"]:
            published = client.published_pipelines(project["id"], environment)
            wanted = {p["pipelineName"] for p in of_it if p["environmentName"] == environment and p["published"]}
            assert {each.name for each in published} == wanted
            assert all(each.published_at is not None for each in published)
        assert {p["scheduleId"] for p in of_it} - {None} <= {
            each.schedule_id for each in client.schedules(project["id"])
        }

    assert (heard.rejections, heard.unknown) == ([], [])
    assert {code for _, code in heard.requests} == {"200"}


def test_filters_are_understood_as_they_are_meant(client: MaiaClient, control: Callable[..., Any]):
    known = truth(control)
    prod = [run for run in known.values() if run["environmentName"] == "prod" and run["projectName"] == "Finance"]
    newest = max(datetime.fromisoformat(run["startedAt"]) for run in prod)
    since, until = newest - timedelta(hours=8), newest - timedelta(hours=2)

    found = client.all_runs(
        RunQuery(
            project_id=prod[0]["projectId"],
            environment_name="prod",
            pipeline_name="INVOICES",
            statuses=("SUCCESS", "FAILED"),
            started_after=since,
            started_before=until,
            limit=3,
        )
    )

    wanted = {
        run["pipelineExecutionId"]
        for run in prod
        if "invoices" in run["pipelineName"]
        and run["status"] in ("SUCCESS", "FAILED")
        and since <= datetime.fromisoformat(run["startedAt"]) <= until
    }
    assert {run.run_id for run in found.runs} == wanted != set()


def test_the_records_of_a_list_are_the_apis_own(client: MaiaClient):
    page = client.list_runs(RunQuery(limit=5), records=True)

    assert list(page.records) == [run.run_id for run in page.runs]
    assert all(record["pipelineExecutionId"] == run_id for run_id, record in page.records.items())
    projects = client.projects()
    assert [record["id"] for record in projects.records] == [project.project_id for project in projects]


def test_an_account_with_more_of_everything_than_a_page_holds_is_read_whole(
    control: Callable[..., Any], client: MaiaClient
):
    project = next(each for each in control("GET", "truth")["projects"] if each["name"] == "Marketing")
    for number in range(130):
        control("POST", "pipelines", project=project["id"], environment="prod", name=f"many/{number:03}.orch.yaml")

    names = {each.name for each in client.published_pipelines(project["id"], "prod")}

    assert len({name for name in names if name.startswith("many/")}) == 130


def test_a_pipeline_is_started_followed_and_cancelled(client: MaiaClient, control: Callable[..., Any]):
    project_id = next(each.project_id for each in client.projects() if each.name == "Finance")
    start = ExecuteRequest(
        pipeline_name="finance/nightly-load.orch.yaml",
        environment_name="prod",
        execution_tag="a tag",
        scalar_variables={"day": "2026-03-01"},
        grid_variables={"tables": [["a", "b"], ["c", "d"]]},
    )

    run_id = client.execute(project_id, start)
    with pytest.raises(Conflict, match="a tag"):
        client.execute(project_id, start)
    assert client.get_run(project_id, run_id).status is Status.RUNNING

    client.cancel(project_id, run_id, force=False)
    assert client.get_run_status(project_id, run_id) is Status.CANCELLING
    client.cancel(project_id, run_id, force=True)
    assert truth(control)[run_id]["forced"]
    with contextlib.suppress(httpx.HTTPStatusError):  # forced, it may have ended by itself
        control("POST", f"runs/{run_id}/end", status="CANCELLED")
    assert client.get_run_status(project_id, run_id) is Status.CANCELLED
    with pytest.raises(Conflict):
        client.cancel(project_id, run_id, force=False)


@pytest.mark.parametrize(("answer", "error"), [(400, Refused), (404, NotFound), (409, Conflict), (200, None)])
def test_cancelling_a_finished_run_comes_back_as_the_api_likes(
    client: MaiaClient, control: Callable[..., Any], answer: int, error: type[MaiaError] | None
):
    control("POST", "answers", cancel_finished=answer)
    run = client.list_runs(RunQuery(statuses=("SUCCESS",), limit=1)).runs[0]

    if error is None:
        client.cancel(run.pipeline.project_id, run.run_id, force=False)
    else:
        with pytest.raises(error):
            client.cancel(run.pipeline.project_id, run.run_id, force=False)


@pytest.mark.parametrize("html", [False, True], ids=["problem", "web page"])
def test_what_does_not_exist_or_is_off_is_named_as_such(client: MaiaClient, control: Callable[..., Any], html: bool):
    control("POST", "answers", html_errors=html)
    projects = {each.name: each.project_id for each in client.projects()}
    nobody = "00000000-0000-4000-8000-000000000000"
    start = ExecuteRequest(pipeline_name="campaigns/never-ran.orch.yaml", environment_name="prod")
    control("POST", "changes", project="Marketing", pipeline=start.pipeline_name, disabled=True)
    control("POST", "changes", project="Marketing", forbidden=True)

    try:
        with pytest.raises(Forbidden) as caught:
            client.environments(projects["Marketing"])
        assert caught.value.project_id == projects["Marketing"]
        control("POST", "changes", project="Marketing", forbidden=False)
        with pytest.raises(Gone):
            client.execute(projects["Marketing"], start)
    finally:
        control("POST", "changes", project="Marketing", pipeline=start.pipeline_name, disabled=False)
        control("POST", "changes", project="Marketing", forbidden=False)
    with pytest.raises(NotFound):
        client.get_run(projects["Finance"], nobody)
    with pytest.raises(NotFound):
        client.environments(nobody)
    with pytest.raises(NotFound):
        client.execute(projects["Finance"], start)


@pytest.mark.parametrize("form", ["no_id", "no_name", "not_object", "null", "number_status"])
def test_a_record_that_cannot_be_read_is_skipped_and_the_others_are_kept(
    client: MaiaClient, control: Callable[..., Any], heard: Heard, form: str
):
    control("POST", "faults", kind="malformed", records=2, form=form)

    page = client.list_runs(RunQuery(limit=10))

    assert (len(page.runs), len(page.rejected)) == (8, 2)
    assert heard.rejections == list(page.rejected)


def test_a_time_that_cannot_be_read_costs_the_time_and_not_the_run(
    client: MaiaClient, control: Callable[..., Any], heard: Heard
):
    control("POST", "faults", kind="malformed", form="bad_time")

    page = client.list_runs(RunQuery(limit=10))

    assert (len(page.runs), page.runs[0].started_at, page.rejected) == (10, None, ())
    assert heard.unknown == [("startedAt", "yesterday")]


def test_a_status_that_nobody_knows_is_unknown(client: MaiaClient, control: Callable[..., Any], heard: Heard):
    control("POST", "faults", kind="unknown_status")

    page = client.list_runs(RunQuery(limit=10))

    assert (page.runs[0].status, page.runs[0].status_text) == (Status.UNKNOWN, "PAUSED")
    assert heard.unknown == [("status", "PAUSED")]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "html"}, BadAnswer),
        ({"kind": "html", "status": 503}, ServerFailed),
        ({"kind": "status", "status": 500}, ServerFailed),
        ({"kind": "status", "status": 502, "body": "html"}, ServerFailed),
        ({"kind": "status", "status": 503, "body": "empty"}, ServerFailed),
        ({"kind": "hang"}, TimedOut),
        ({"kind": "drip", "bytes": 1, "seconds": 0.1}, TimedOut),
        ({"kind": "reset"}, NetworkFailed),
        ({"kind": "reset", "after_bytes": 20}, NetworkFailed),
        ({"kind": "rate_limited", "retry_after": 60}, RateLimited),
    ],
    ids=str,
)
def test_a_fault_of_the_connection_is_named_and_over_when_it_is_over(
    client: MaiaClient, control: Callable[..., Any], fault: dict[str, Any], error: type[MaiaError]
):
    control("POST", "faults", **fault, path="/dpc/*")
    with client.deadline(1), pytest.raises(error) as caught:
        client.list_runs(RunQuery())
    assert type(caught.value) is error

    control("DELETE", "faults")
    if error is RateLimited:  # the client keeps the silence it was asked for
        with client.deadline(1), pytest.raises(RateLimited, match="the server asked us to wait"):
            client.list_runs(RunQuery())
    else:
        assert len(client.list_runs(RunQuery()).runs) == 100


@pytest.mark.parametrize("path", ["/dpc/*", "/oauth/*"], ids=["api", "sign-in"])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_short_retry_after_is_waited_out(
    client: MaiaClient, control: Callable[..., Any], heard: Heard, form: str, path: str
):
    control("POST", "answers", retry_after=form)
    control("POST", "faults", kind="rate_limited", retry_after=1, count=1, path=path)

    assert len(client.list_runs(RunQuery()).runs) == 100
    assert [cause for cause, _ in heard.throttles] == ["retry_after"]


def test_one_reset_of_a_kept_connection_goes_unnoticed(client: MaiaClient, control: Callable[..., Any]):
    client.list_runs(RunQuery())
    control("POST", "faults", kind="reset", count=1)

    assert len(client.list_runs(RunQuery()).runs) == 100


def test_a_cancel_that_worked_behind_a_502_is_in_doubt_and_not_repeated(
    client: MaiaClient, control: Callable[..., Any]
):
    run = control("POST", "runs", pipelineName="finance/nightly-load.orch.yaml")
    control("POST", "faults", kind="patch_applied")
    control("DELETE", "log")

    with pytest.raises(ServerFailed):
        client.cancel(run["projectId"], run["pipelineExecutionId"], force=True)

    assert [entry["method"] for entry in control("GET", "log")["requests"]].count("PATCH") == 1
    assert client.get_run_status(run["projectId"], run["pipelineExecutionId"]) is Status.CANCELLING


def test_a_revoked_token_is_renewed(client: MaiaClient, control: Callable[..., Any], heard: Heard):
    client.list_runs(RunQuery())
    control("POST", "token/revoke")

    assert len(client.list_runs(RunQuery()).runs) == 100
    assert len(heard.expiries) == 2


def test_wrong_credentials_are_named(simulator: ServedSimulator, heard: Heard):
    settings = settings_of(simulator, client_secret="not-the-secret")

    with (
        MaiaClient(settings, clock=SystemClock(), stop=threading.Event(), watcher=heard) as client,
        pytest.raises(Unauthorized, match="invalid_client"),
    ):
        client.projects()


def test_the_servers_clock_is_the_simulators(client: MaiaClient, control: Callable[..., Any], heard: Heard):
    control("POST", "clock", offset="5m")

    client.list_runs(RunQuery())

    assert client.server_time is not None
    assert 298 <= client.server_time.skew_seconds <= 301
    assert heard.skews == [client.server_time.skew_seconds]
    ahead = (client.server_now() - SystemClock().now()).total_seconds()
    assert 298 <= ahead <= 301
