"""Every call over a real socket: what goes out, what comes back, what is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.core.model import PipelineKey, Project, Run, Status
from exporter.maia import (
    Environment,
    ExecuteRequest,
    MaiaClient,
    PublishedPipeline,
    Rejection,
    RunQuery,
    Schedule,
    SilentWatcher,
    Step,
)
from exporter.maia.errors import (
    BadAnswer,
    Conflict,
    Forbidden,
    Gone,
    MaiaError,
    NotFound,
    RateLimited,
    Refused,
    ServerFailed,
    Stopped,
    Unauthorized,
)

from .conftest import START, FakeClock, Heard, Says, Server, settings_for

Connect = Callable[..., MaiaClient]

RUN = {"pipelineExecutionId": "r-1", "pipelineName": "n", "status": "RUNNING", "environmentName": "prod"}
RUNS = "/v1/pipeline-executions"
ONE_RUN = "/v1/projects/{projectId}/pipeline-executions/{id}"
TOKEN = ("/oauth/dpc/token", "200")


def the_run(project_id: str = "") -> Run:
    return Run(
        run_id="r-1", pipeline=PipelineKey(project_id, "prod", "n"), status=Status.RUNNING, status_text="RUNNING"
    )


def query_of(server: Server, position: int = -1) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(server.asked[position].path).query)


def test_a_call_introduces_itself(connect: Connect, server: Server):
    connect().list_runs(RunQuery())

    headers = {name.lower(): value for name, value in server.asked[0].headers.items()}
    assert headers["authorization"] == "Bearer token-number-1"
    assert headers["user-agent"] == "maia-exporter/1.2.3"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip"


def test_a_list_of_runs_asks_for_what_the_query_says(connect: Connect, server: Server):
    connect().list_runs(
        RunQuery(
            statuses=("RUNNING", "CANCELLING"),
            project_id="p-1",
            environment_name="prod & test",
            pipeline_name="nightly",
            started_after=datetime(2026, 1, 31, 12, tzinfo=UTC),
            started_before=datetime(2026, 1, 31, 13, 0, 0, 500_000, UTC),
            limit=7,
        ),
        "the token",
    )

    assert urlsplit(server.asked[0].path).path == "/dpc/v1/pipeline-executions"
    assert query_of(server) == [
        ("status", "RUNNING"),
        ("status", "CANCELLING"),
        ("projectId", "p-1"),
        ("environmentName", "prod & test"),
        ("pipelineName", "nightly"),
        ("startedAfter", "2026-01-31T12:00:00Z"),
        ("startedBefore", "2026-01-31T13:00:00.500000Z"),
        ("limit", "7"),
        ("paginationToken", "the token"),
    ]


def test_a_list_of_everything_asks_for_full_pages_only(connect: Connect, server: Server):
    connect().list_runs(RunQuery())

    assert query_of(server) == [("limit", "100")]


def test_a_page_is_given_back_and_what_was_odd_is_told(connect: Connect, server: Server, heard: Heard):
    server.answers = [Says({"results": [RUN | {"trigger": "WEBHOOK"}, {}], "more": "m"})]

    page = connect().list_runs(RunQuery(), records=True)

    assert (page.runs, page.more, page.records) == ((the_run(),), "m", {"r-1": RUN | {"trigger": "WEBHOOK"}})
    assert heard.rejections == [Rejection("results[1].pipelineExecutionId", "absent")]
    assert heard.unknown == [("trigger", "WEBHOOK")]
    assert heard.requests == [TOKEN, (RUNS, "200")]


def test_all_runs_keeps_the_filters_from_page_to_page(connect: Connect, server: Server):
    server.answers = [Says({"results": [RUN], "more": "m"}), Says({"results": [RUN | {"pipelineExecutionId": "r-2"}]})]

    whole = connect().all_runs(RunQuery(statuses=("FORBIDDEN",)), records=True)

    assert [run.run_id for run in whole.runs] == ["r-1", "r-2"]
    assert list(whole.records) == ["r-1", "r-2"]
    assert query_of(server) == [*query_of(server, 0), ("paginationToken", "m")]


def test_a_list_whose_second_page_fails_gives_nothing(connect: Connect, server: Server):
    server.answers = [Says({"results": [RUN], "more": "m"}), Says(status=500)]

    with pytest.raises(ServerFailed):
        connect().all_runs(RunQuery())


def test_page_tokens_that_never_end_are_given_up(connect: Connect, server: Server):
    server.answers = [Says({"results": [RUN], "more": "m"})]

    with pytest.raises(BadAnswer, match="goes in a circle"):
        connect().all_runs(RunQuery())
    assert len(server.asked) == 2


@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "wrapped"])
def test_a_run_is_read_by_id(connect: Connect, server: Server, heard: Heard, wrap: bool):
    odd = RUN | {"user": 7}
    server.answers = [Says({"result": odd} if wrap else odd)]
    client = connect()

    assert client.get_run("p/1", "r-1") == the_run("p/1")
    assert client.read_run("p/1", "r-1") == (the_run("p/1"), odd)
    assert server.asked[0].path == "/dpc/v1/projects/p%2F1/pipeline-executions/r-1"
    assert heard.unknown == [("user", "7")] * 2
    assert heard.requests[-1] == (ONE_RUN, "200")


def test_a_runs_status_is_read_by_the_light_call(connect: Connect, server: Server, heard: Heard):
    server.answers = [Says({"status": "CANCELLING"}), Says({"status": "PAUSED"})]
    client = connect()

    assert client.get_run_status("p-1", "r-1") is Status.CANCELLING
    assert client.get_run_status("p-1", "r-1") is Status.UNKNOWN
    assert server.asked[0].path == "/dpc/v1/projects/p-1/pipeline-executions/r-1/status"
    assert heard.unknown == [("status", "PAUSED")]


@pytest.mark.parametrize(
    ("call", "path", "record", "item"),
    [
        (lambda c: c.projects(), "/v1/projects", {"id": "p", "name": "P"}, Project("p", "P")),
        (lambda c: c.environments("p"), "/v1/projects/p/environments", {"name": "e"}, Environment(name="e")),
        (
            lambda c: c.published_pipelines("p"),
            "/v1/projects/p/published-pipelines",
            {"name": "x"},
            PublishedPipeline(name="x"),
        ),
        (
            lambda c: c.published_pipelines("p", "prod"),
            "/v1/projects/p/published-pipelines?environmentName=prod",
            {"name": "x"},
            PublishedPipeline(name="x"),
        ),
        (lambda c: c.schedules("p"), "/v1/projects/p/schedules", {"name": "s"}, Schedule(name="s")),
        (lambda c: c.steps("p", "r"), "/v1/projects/p/pipeline-executions/r/steps", {"id": "s"}, Step(step_id="s")),
    ],
)
def test_a_list_of_the_guide_is_read_page_by_page(
    connect: Connect, server: Server, heard: Heard, call: Any, path: str, record: dict[str, str], item: Any
):
    server.answers = [
        Says({"results": [record, 5], "total": 3}),
        Says({"results": [record | {"name": "z"}], "total": 3}),
    ]

    listing = call(connect())

    assert listing.items[0] == item
    assert listing.records == (record, record | {"name": "z"})
    assert heard.rejections == list(listing.rejected) == [Rejection("results[1]", "expected an object, got a number")]
    separator = "&" if "?" in path else "?"
    assert [asked.path for asked in server.asked] == [f"/dpc{path}{separator}page={n}&size=100" for n in (0, 1)]
    assert heard.requests[-1][0] == path.partition("?")[0].replace("/p/", "/{projectId}/").replace("/r/", "/{id}/")


def test_a_pipeline_is_started(connect: Connect, server: Server, heard: Heard):
    server.answers = [Says({"pipelineExecutionId": "new"}, status=201)]

    started = connect().execute(
        "p",
        ExecuteRequest(
            pipeline_name="n",
            environment_name="prod",
            version_name="v1",
            execution_tag="nightly",
            agent_id="a",
            scalar_variables={"k": "v"},
            grid_variables={"g": [("a", "b")]},
        ),
    )

    assert started == "new"
    assert (server.asked[0].method, server.asked[0].path) == ("POST", "/dpc/v1/projects/p/pipeline-executions")
    assert server.asked[0].json == {
        "pipelineName": "n",
        "environmentName": "prod",
        "versionName": "v1",
        "executionTag": "nightly",
        "agentId": "a",
        "scalarVariables": {"k": "v"},
        "gridVariables": {"g": [["a", "b"]]},
    }
    assert heard.requests[-1] == ("/v1/projects/{projectId}/pipeline-executions", "201")


def test_a_start_says_nothing_of_what_was_not_given(connect: Connect, server: Server):
    server.answers = [Says({"pipelineExecutionId": "new"})]

    connect().execute("p", ExecuteRequest(pipeline_name="n", environment_name="prod"))

    assert server.asked[0].json == {"pipelineName": "n", "environmentName": "prod"}


@pytest.mark.parametrize("force", [False, True])
def test_a_cancel_says_both_fields(connect: Connect, server: Server, heard: Heard, force: bool):
    server.answers = [Says(b"", status=202)]  # its body does not matter

    connect().cancel("p", "r", force=force)

    assert (server.asked[0].method, server.asked[0].path) == ("PATCH", "/dpc/v1/projects/p/pipeline-executions/r")
    assert server.asked[0].json == {"status": "CANCELLED", "forceUpdate": force}
    assert heard.requests[-1] == (ONE_RUN, "202")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (429, RateLimited),
        (500, ServerFailed),
    ],
)
@pytest.mark.parametrize(
    "act",
    [
        lambda c: c.cancel("p", "r", force=False),
        lambda c: c.execute("p", ExecuteRequest(pipeline_name="n", environment_name="e")),
    ],
    ids=["cancel", "execute"],
)
def test_what_changes_something_is_sent_once_whatever_comes_back(
    connect: Connect, server: Server, act: Any, status: int, error: type[MaiaError]
):
    server.answers = [Says(status=status, headers={"Retry-After": "0"}), Says({"pipelineExecutionId": "new"})]

    with pytest.raises(error) as caught:
        act(connect())
    assert type(caught.value) is error
    assert len(server.asked) == 1


def test_a_start_whose_answer_cannot_be_read_is_a_bad_answer(connect: Connect, server: Server):
    server.answers = [Says({"id": "new"})]

    with pytest.raises(BadAnswer, match=r"^start n in prod at 127\.0\.0\.1: result\.pipelineExecutionId: absent"):
        connect().execute("p", ExecuteRequest(pipeline_name="n", environment_name="prod"))


def test_a_forbidden_project_is_named(connect: Connect, server: Server):
    server.answers = [Says({"title": "Forbidden"}, status=403)]

    with pytest.raises(Forbidden) as caught:
        connect().environments("p-1")
    assert caught.value.project_id == "p-1"


@pytest.mark.parametrize("status", [200, 502])
def test_a_web_page_is_no_answer(connect: Connect, server: Server, heard: Heard, status: int):
    server.answers = [Says(b"<html>Please sign in</html>", status=status, headers={"Content-Type": "text/html"})]

    with pytest.raises(BadAnswer if status == 200 else ServerFailed, match="web page"):
        connect().projects()
    assert heard.requests[-1] == ("/v1/projects", str(status))


# Tokens


def test_one_token_serves_many_calls(connect: Connect, server: Server, heard: Heard):
    client = connect()
    for _ in range(3):
        client.list_runs(RunQuery())

    assert len(server.token_requests) == len(heard.expiries) == 1


def test_a_token_that_dies_early_is_renewed_without_anybody_noticing(connect: Connect, server: Server, heard: Heard):
    client = connect()
    client.list_runs(RunQuery())
    server.answers = [Says(status=401), Says({"results": [RUN]})]

    assert client.list_runs(RunQuery()).runs == (the_run(),)
    assert [asked.headers["Authorization"] for asked in server.asked[1:]] == [
        "Bearer token-number-1",
        "Bearer token-number-2",
    ]
    assert heard.requests[2:] == [(RUNS, "401"), TOKEN, (RUNS, "200")]


def test_a_change_refused_for_its_token_is_sent_again_with_a_new_one(connect: Connect, server: Server):
    client = connect()
    client.list_runs(RunQuery())
    server.answers = [Says(status=401), Says({})]

    client.cancel("p", "r", force=False)

    assert [asked.json for asked in server.asked[1:]] == [{"status": "CANCELLED", "forceUpdate": False}] * 2


@pytest.mark.parametrize(("fresh", "calls", "tokens"), [(True, 1, 1), (False, 2, 2)])
def test_an_api_that_takes_no_token_is_not_asked_in_a_loop(
    connect: Connect, server: Server, fresh: bool, calls: int, tokens: int
):
    client = connect()
    if not fresh:
        client.list_runs(RunQuery())
        server.asked.clear()
    server.answers = [Says(status=401)]

    with pytest.raises(Unauthorized):
        client.list_runs(RunQuery())
    assert (len(server.asked), len(server.token_requests)) == (calls, tokens)


def test_a_refused_sign_in_ends_the_call(connect: Connect, server: Server, heard: Heard):
    server.tokens = [Says({"error": "invalid_client"}, status=401)]

    with pytest.raises(Unauthorized, match="invalid_client"):
        connect().projects()
    assert server.asked == []
    assert heard.requests == [("/oauth/dpc/token", "401")]


def test_no_secret_shows_in_logs_or_errors(connect: Connect, server: Server, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    server.answers = [Says({"detail": "the-client-secret token-number-1"}, status=400)]

    with pytest.raises(Refused) as caught:
        connect().projects()

    chain: BaseException | None = caught.value
    while chain:
        assert not any(secret in f"{chain!r}" for secret in ("the-client-secret", "token-number-1"))
        chain = chain.__cause__ or chain.__context__
    assert caplog.text
    assert not any(secret in caplog.text for secret in ("the-client-secret", "token-number-1"))


# Budget, Retry-After, stop


def test_calls_wait_for_the_budget_and_say_so(connect: Connect, clock: FakeClock, heard: Heard):
    client = connect(clock=clock, requests_per_minute=4)
    client.list_runs(RunQuery())
    client.list_runs(RunQuery())

    assert heard.throttles == [("budget", pytest.approx(15.25))]


def test_the_repeat_after_a_401_takes_from_the_budget_too(
    connect: Connect, server: Server, clock: FakeClock, heard: Heard
):
    client = connect(clock=clock, requests_per_minute=4)
    client.list_runs(RunQuery())
    server.answers = [Says(status=401), Says({"results": []})]
    client.list_runs(RunQuery())

    assert len(heard.throttles) == 2


def test_background_calls_leave_room_for_urgent_ones(connect: Connect, server: Server, clock: FakeClock, heard: Heard):
    client = connect(clock=clock, requests_per_minute=16)
    with client.background(reserve=2):
        client.list_runs(RunQuery())
        client.list_runs(RunQuery())
        assert heard.throttles == []
        with client.deadline(1), pytest.raises(RateLimited, match="our own budget is used up"):
            client.list_runs(RunQuery())
    client.list_runs(RunQuery())
    client.list_runs(RunQuery())

    assert heard.throttles == []
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "20"},
        {"Retry-After": "Sun, 01 Mar 2026 09:00:20 GMT", "Date": "Sun, 01 Mar 2026 09:00:00 GMT"},
    ],
    ids=["seconds", "date"],
)
def test_a_429_is_waited_out_and_the_read_repeated_once(
    connect: Connect, server: Server, clock: FakeClock, heard: Heard, headers: dict[str, str]
):
    server.answers = [Says(status=429, headers=headers), Says({"results": [RUN]})]

    assert connect(clock=clock).list_runs(RunQuery()).runs == (the_run(),)
    assert clock.waits == [20.0]
    assert heard.throttles == [("retry_after", 20.0)]
    assert heard.requests[1:] == [(RUNS, "429"), (RUNS, "200")]


def test_a_second_429_is_given_back(connect: Connect, server: Server, clock: FakeClock):
    server.answers = [Says(status=429, headers={"Retry-After": "20"})]

    with pytest.raises(RateLimited) as caught:
        connect(clock=clock).list_runs(RunQuery())
    assert caught.value.retry_after == 20
    assert len(server.asked) == 2


def test_a_429_that_the_deadline_cannot_wait_out_is_given_back_at_once(
    connect: Connect, server: Server, clock: FakeClock
):
    server.answers = [Says(status=429, headers={"Retry-After": "20"}), Says({"results": []})]
    client = connect(clock=clock)

    with client.deadline(15), pytest.raises(RateLimited, match="HTTP 429"):
        client.list_runs(RunQuery())
    with (
        client.deadline(15),
        pytest.raises(RateLimited, match="list executions: the server asked us to wait") as caught,
    ):
        client.list_runs(RunQuery())

    assert caught.value.retry_after == 20
    assert (len(server.asked), clock.waits) == (1, [])


def test_a_server_in_trouble_that_asks_for_time_gets_it(connect: Connect, server: Server, clock: FakeClock):
    server.answers = [Says(status=503, headers={"Retry-After": "20"}), Says({"results": []})]
    client = connect(clock=clock)

    with pytest.raises(ServerFailed):
        client.list_runs(RunQuery())
    client.list_runs(RunQuery())

    assert clock.waits == [20.0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_sign_in_that_asks_for_time_gets_it(connect: Connect, server: Server, clock: FakeClock, status: int):
    server.tokens = [Says(status=status, headers={"Retry-After": "20"})]
    client = connect(clock=clock)

    with client.deadline(15), pytest.raises(RateLimited if status == 429 else ServerFailed):
        client.list_runs(RunQuery())
    with client.deadline(15), pytest.raises(RateLimited, match="sign in: the server asked us to wait"):
        client.list_runs(RunQuery())
    client.list_runs(RunQuery())

    assert clock.waits == [20.0]
    assert len(server.token_requests) == 2


def test_an_inner_deadline_does_not_outlive_an_outer_one(connect: Connect, clock: FakeClock):
    client = connect(clock=clock, requests_per_minute=1)
    client.list_runs(RunQuery())

    with client.deadline(10), client.deadline(100), pytest.raises(RateLimited):
        client.list_runs(RunQuery())
    client.list_runs(RunQuery())
    assert clock.waits == [61.0]


def test_a_stop_ends_a_wait_and_nothing_more_goes_out(
    connect: Connect, server: Server, clock: FakeClock, heard: Heard, stop: threading.Event
):
    client = connect(clock=clock, requests_per_minute=1)
    client.list_runs(RunQuery())
    clock.wait = lambda _seconds, stop: stop.set() or True  # type: ignore[method-assign]

    with pytest.raises(Stopped):
        client.list_runs(RunQuery())
    with pytest.raises(Stopped):
        client.list_runs(RunQuery())
    assert (len(server.asked), heard.throttles) == (1, [])


# The server's clock


def test_the_servers_clock_is_known_after_its_first_answer(
    connect: Connect, server: Server, clock: FakeClock, heard: Heard
):
    client = connect(clock=clock)
    assert (client.server_time, client.server_now()) == (None, START)

    server.answers = [Says({"results": []}, headers={"Date": "Sun, 01 Mar 2026 12:01:30 GMT"}), Says({"results": []})]
    client.list_runs(RunQuery())
    clock.seconds += 10
    assert client.server_now() == START + timedelta(seconds=100)
    client.list_runs(RunQuery())  # an answer without a Date changes nothing

    assert client.server_time is not None
    assert client.server_time.server_at == START + timedelta(seconds=90)
    assert client.server_time.local_at == START
    assert client.server_time.skew_seconds == 90
    assert client.server_now() == START + timedelta(seconds=100)
    assert heard.skews == [90.0]


def test_an_unreadable_date_is_no_date(connect: Connect, server: Server, clock: FakeClock):
    server.answers = [Says({"results": []}, headers={"Date": "today"})]
    client = connect(clock=clock)
    client.list_runs(RunQuery())

    assert client.server_time is None


def test_a_command_need_not_listen(server: Server, clock: FakeClock, stop: threading.Event):
    server.answers = [
        Says({"results": [RUN | {"trigger": "WEBHOOK"}, {}]}, headers={"Date": "Sun, 01 Mar 2026 12:01:30 GMT"})
    ]
    settings = settings_for(server, requests_per_minute=1)

    with MaiaClient(settings, clock=clock, stop=stop, watcher=SilentWatcher()) as client:
        assert client.list_runs(RunQuery()).runs == client.list_runs(RunQuery()).runs == (the_run(),)
