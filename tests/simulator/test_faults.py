"""Faults, each switched on while the simulator runs; those of the connection over real sockets."""

import socket
import threading
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest

from exporter.simulator.reader import parse_script
from exporter.simulator.server import serve

from .asking import ONE_PIPELINE, SIGN_IN, Account

LIST = "/pipeline-executions"


@contextmanager
def served(script=ONE_PIPELINE, timeout=5.0):
    with serve(parse_script(script)) as simulator:
        token = httpx.post(simulator.token_url, data=SIGN_IN).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=simulator.api_url, headers=headers, timeout=timeout) as client:
            yield simulator, client


def switch_on(simulator, **fault):
    answer = httpx.post(f"{simulator.control_url}/faults", json=fault)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("fault", "code", "content_type"),
    [
        ({"kind": "status"}, 503, "application/problem+json"),
        ({"kind": "status", "status": 500}, 500, "application/problem+json"),
        ({"kind": "status", "status": 502, "body": "html"}, 502, "text/html; charset=utf-8"),
        ({"kind": "status", "status": 504, "body": "empty"}, 504, "application/problem+json"),
        ({"kind": "html"}, 200, "text/html; charset=utf-8"),
        ({"kind": "rate_limited", "retry_after": 7}, 429, "application/problem+json"),
    ],
)
def test_answers_that_are_none(one, fault, code, content_type):
    one.control("faults", fault)
    answer = one.api("GET", "/projects")
    assert (answer.status_code, answer.headers["content-type"]) == (code, content_type)
    if fault.get("body") == "empty":
        assert answer.content == b""
    if code == 429:
        assert answer.headers["retry-after"] == "7"


def test_a_fault_hits_what_it_names_so_often_as_it_says(one):
    one.control("faults", {"kind": "status", "path": "*/environments", "method": "GET", "count": 2})
    path = f"/projects/{one.project_id}/environments"
    assert [one.api("GET", path).status_code for _ in range(3)] == [503, 503, 200]
    assert one.control("faults")["faults"][0]["hits"] == 2


def test_a_fault_can_hit_a_share_of_requests_and_a_query(one):
    one.control("faults", {"kind": "status", "rate": 0.5, "query": "*status=RUNNING*"})
    codes = [one.api("GET", LIST, params={"status": "RUNNING"}).status_code for _ in range(60)]
    assert 15 < codes.count(503) < 45
    assert one.api("GET", LIST).status_code == 200


def test_faults_can_be_switched_off_one_or_all(one):
    first = one.control("faults", {"kind": "status"})
    one.control("faults", {"kind": "html"})
    assert one.ask("DELETE", f"/control/faults/{first['id']}").status_code == 200
    assert one.api("GET", "/projects").headers["content-type"].startswith("text/html")
    assert one.ask("DELETE", "/control/faults").json() == {"removed": 1}
    assert one.api("GET", "/projects").status_code == 200
    assert one.ask("DELETE", "/control/faults/99").status_code == 404


@pytest.mark.parametrize(
    "fault",
    [{"kind": "gremlins"}, {"kind": "hang", "seconds": 1}, {"kind": "latency", "seconds": "1s"}, {"seconds": 1}],
)
def test_an_unknown_fault_is_refused(one, fault):
    assert one.ask("POST", "/control/faults", json=fault).status_code == 400


def test_a_fault_of_a_script_is_on_in_its_window_again_and_again():
    account = Account(ONE_PIPELINE + '[[faults]]\nkind = "status"\nfrom = "1m"\nuntil = "2m"\nevery = "5m"\n')
    codes = []
    for _ in range(12):
        header = {"Authorization": f"Bearer {account.token}"}
        codes.append(account.ask("GET", "/dpc/v1/projects", headers=header).status_code)
        account.at += timedelta(minutes=1)
    assert codes == [200, 503, 200, 200, 200, 200, 503, 200, 200, 200, 200, 503]


def test_rows_shift_while_paging(one):
    for _ in range(4):
        one.execute()
        one.wait(seconds=1)
    one.control("faults", {"kind": "shift"})
    first = one.get(LIST, limit=2)
    one.execute()
    second = one.get(LIST, limit=2, paginationToken=first["more"])
    assert first["results"][1] == second["results"][0]


def test_a_list_can_serve_an_old_page(one):
    run_id = one.execute().json()["pipelineExecutionId"]
    one.wait(minutes=10)
    one.execute()
    assert [run["status"] for run in one.runs()] == ["RUNNING", "SUCCESS"]
    one.control("faults", {"kind": "stale", "seconds": 30})
    (old,) = one.runs()
    assert (old["pipelineExecutionId"], old["status"]) == (run_id, "RUNNING")
    assert "finishedAt" not in old
    assert one.runs(status="SUCCESS") == []
    assert one.status(run_id) == "SUCCESS", "a read of the run itself is up to date"


def test_rows_surface_late(one):
    one.control("faults", {"kind": "late", "seconds": 45, "pipeline": "finance/*"})
    run_id = one.execute().json()["pipelineExecutionId"]
    assert one.runs() == []
    assert one.status(run_id) == "RUNNING"
    one.wait(seconds=44)
    assert one.runs() == []
    one.wait(seconds=1)
    assert len(one.runs()) == 1


@pytest.mark.parametrize("status", [302, 307])
def test_an_answer_can_send_the_client_elsewhere(one, status):
    one.control("faults", {"kind": "status", "status": status, "location": "http://127.0.0.1:1/"})
    assert one.api("GET", "/projects").headers["location"] == "http://127.0.0.1:1/"


def test_a_5xx_can_say_when_to_come_back(one):
    one.control("faults", {"kind": "status", "retry_after": 4})
    assert one.api("GET", "/projects").headers["retry-after"] == "4"


def test_records_of_any_list_can_be_malformed(one):
    one.control("faults", {"kind": "malformed", "path": "*/projects", "form": "no_name"})
    assert "name" not in one.get("/projects")["results"][0]


def test_the_control_endpoint_tells_what_it_can_do(one):
    told = one.control("")
    assert {"latency", "hang", "reset", "drip", "stale", "late", "shift"} <= set(told["faults"])
    assert told["faults"]["latency"]["method"] == "*"


@pytest.mark.parametrize("form", ["no_id", "no_name", "not_object", "null", "bad_time", "number_status"])
def test_records_can_be_malformed(one, form):
    for _ in range(3):
        one.execute()
    good = one.get(LIST)["results"]
    one.control("faults", {"kind": "malformed", "form": form, "records": 1})
    bad = one.get(LIST)["results"]
    assert bad[0] != good[0]
    assert bad[1:] == good[1:]


def test_a_status_can_be_unknown(one):
    for _ in range(2):
        one.execute()
    one.control("faults", {"kind": "unknown_status", "value": "PAUSED"})
    assert [run["status"] for run in one.get(LIST)["results"]] == ["PAUSED", "RUNNING"]


def test_a_patch_can_be_applied_and_answered_5xx(one):
    run_id = one.execute().json()["pipelineExecutionId"]
    one.control("faults", {"kind": "patch_applied", "status": 504})
    assert one.cancel(run_id).status_code == 504
    assert one.status(run_id) == "CANCELLING"
    (patch,) = [each for each in one.control("log")["requests"] if each["method"] == "PATCH"]
    assert (patch["status"], patch["applied"], patch["true_status"]) == (504, True, "RUNNING")


@pytest.mark.parametrize(("setting", "code"), [(409, 409), (200, 200)])
def test_a_run_can_end_just_before_the_patch(one, setting, code):
    one.control("answers", {"cancel_finished": setting})
    run_id = one.execute().json()["pipelineExecutionId"]
    one.control("faults", {"kind": "patch_race", "outcome": "FAILED"})
    assert one.cancel(run_id).status_code == code
    assert one.status(run_id) == "FAILED"


def test_there_is_one_date_header_on_the_wire():
    with served() as (_, client):
        answer = client.get("/v1/projects")
        assert len(answer.headers.get_list("date")) == 1
        assert "server" not in answer.headers


def test_an_answer_can_be_slow():
    with served() as (simulator, client):
        switch_on(simulator, kind="latency", seconds=0.3)
        assert client.get("/v1/projects").elapsed.total_seconds() >= 0.3


def test_an_answer_can_never_come_and_stopping_does_not_wait_for_it():
    with served(timeout=0.3) as (simulator, client):
        switch_on(simulator, kind="hang", path="*/projects")
        with pytest.raises(httpx.ReadTimeout):
            client.get("/v1/projects")
        assert client.get("/v1/pipeline-executions").status_code == 200
        (hung,) = [
            each
            for each in httpx.get(f"{simulator.control_url}/log").json()["requests"]
            if each["path"].endswith("projects")
        ]
        assert hung["status"] is None


@pytest.mark.parametrize("after_bytes", [0, 20])
def test_a_connection_can_be_reset(after_bytes):
    with served() as (simulator, client):
        switch_on(simulator, kind="reset", after_bytes=after_bytes, path="*/projects")
        with pytest.raises(httpx.ReadError):
            client.get("/v1/projects")
        assert client.get("/v1/pipeline-executions").status_code == 200


def test_a_reset_is_one_on_the_wire():
    with served() as (simulator, client):
        switch_on(simulator, kind="reset", after_bytes=20, path="*/projects")
        host, port = simulator.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            token = client.headers["authorization"]
            raw.sendall(f"GET /dpc/v1/projects HTTP/1.1\r\nHost: sim\r\nAuthorization: {token}\r\n\r\n".encode())
            got: list[bytes] = []
            with pytest.raises(ConnectionResetError):
                _read_on(raw, got)
        head, _, body = b"".join(got).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert body == b'{"page":0,"results":'


def test_a_body_can_drip():
    with served() as (simulator, client):
        switch_on(simulator, kind="drip", seconds=0.02, bytes=10)
        answer = client.get("/v1/projects")
        assert answer.json()["results"][0]["name"] == "Finance"
        assert answer.elapsed.total_seconds() >= 0.2


def test_a_patch_can_be_applied_and_never_answered():
    with served(timeout=0.3) as (simulator, client):
        project = client.get("/v1/projects").json()["results"][0]["id"]
        body = {"pipelineName": "finance/nightly-load.orch.yaml", "environmentName": "prod"}
        path = f"/v1/projects/{project}/pipeline-executions"
        run_id = client.post(path, json=body).json()["pipelineExecutionId"]
        switch_on(simulator, kind="patch_applied", hang=True)
        with pytest.raises(httpx.ReadTimeout):
            client.patch(f"{path}/{run_id}", json={"status": "CANCELLED", "forceUpdate": False})
        assert client.get(f"{path}/{run_id}/status").json()["status"] == "CANCELLING"


def test_many_clients_are_served_at_once_while_some_hang():
    with served(timeout=2) as (simulator, client):
        switch_on(simulator, kind="hang", path="*/projects")
        hanging = [threading.Thread(target=_ignore, args=(simulator, client)) for _ in range(20)]
        for thread in hanging:
            thread.start()
        assert client.get("/v1/pipeline-executions").status_code == 200
        for thread in hanging:
            thread.join()


def _read_on(raw, got):
    while chunk := raw.recv(4096):
        got.append(chunk)


def _ignore(simulator, client):
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{simulator.api_url}/v1/projects", headers=client.headers, timeout=0.5)
