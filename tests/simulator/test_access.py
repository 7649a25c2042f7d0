"""Tokens, the request budget, forbidden projects and the server's clock."""

from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest

from .asking import ONE_PIPELINE, SIGN_IN, T0, Account


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "wrong"}, 401),
        ({"client_id": "nobody"}, 401),
        ({"grant_type": "password"}, 400),
        ({"audience": "https://elsewhere.example"}, 403),
    ],
)
def test_sign_in_checks_what_it_is_given(one, changes, code):
    answer = one.sign_in(**changes)
    assert answer.status_code == code
    assert answer.json()["error"]


def test_sign_in_takes_a_form_only(one):
    assert one.ask("POST", "/oauth/dpc/token", json=SIGN_IN).status_code == 400
    answer = one.sign_in()
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 1800)


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic ZGVtbzpkZW1v"}])
def test_a_call_without_a_good_token_is_not_authorised(one, header):
    answer = one.ask("GET", "/dpc/v1/projects", headers=header)
    assert (answer.status_code, answer.json()["status"]) == (401, 401)


def test_a_token_dies_when_it_said_it_would(one):
    header = {"Authorization": f"Bearer {one.token}"}
    one.at = T0 + timedelta(seconds=1799)
    assert one.ask("GET", "/dpc/v1/projects", headers=header).status_code == 200
    one.at = T0 + timedelta(seconds=1800)
    assert one.ask("GET", "/dpc/v1/projects", headers=header).status_code == 401


def test_a_token_can_die_early():
    account = Account("token")
    header = {"Authorization": f"Bearer {account.token}"}
    assert account.sign_in().json()["expires_in"] == 1800
    account.at += timedelta(seconds=20)
    assert account.ask("GET", "/dpc/v1/projects", headers=header).status_code == 401


def test_tokens_can_be_revoked(one):
    assert one.control("token/revoke", {})["revoked"] >= 1
    assert one.api("GET", "/projects").status_code == 401


def test_beyond_the_budget_of_a_minute_calls_are_told_when_to_come_back():
    account = Account("requests_per_minute = 3\n" + ONE_PIPELINE)
    account.wait(seconds=0)
    for _ in range(3):
        assert account.api("GET", "/projects").status_code == 200
        account.at += timedelta(seconds=10)
    answer = account.api("GET", "/projects")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    account.at += timedelta(seconds=30)
    assert account.api("GET", "/projects").status_code == 200


def test_the_budget_can_be_lifted():
    account = Account("requests_per_minute = 1\n" + ONE_PIPELINE)
    account.control("budget", {"requests_per_minute": 1000})
    assert [account.api("GET", "/projects").status_code for _ in range(5)] == [200] * 5


def test_retry_after_may_be_a_date():
    account = Account("requests_per_minute = 1\n" + ONE_PIPELINE)
    account.control("answers", {"retry_after": "date"})
    account.api("GET", "/projects")
    answer = account.api("GET", "/projects")
    wait = parsedate_to_datetime(answer.headers["retry-after"]) - parsedate_to_datetime(answer.headers["date"])
    assert timedelta(seconds=60) <= wait <= timedelta(seconds=61)


def test_a_forbidden_project_is_refused_and_its_runs_are_hidden_while_others_are_served():
    account = Account("forbidden")
    science, payroll = account.get("/projects")["results"]
    assert account.api("GET", f"/projects/{payroll['id']}/environments").status_code == 403
    assert account.api("GET", "/pipeline-executions", params={"projectId": payroll["id"]}).status_code == 403
    assert account.api("GET", f"/projects/{science['id']}/environments").status_code == 200
    assert {run["projectId"] for run in account.runs(limit=100)} == {science["id"]}
    account.control("answers", {"list_forbidden_projects": True})
    runs = account.runs(limit=100)
    hidden = next(run for run in runs if run["projectId"] == payroll["id"])
    path = f"/projects/{payroll['id']}/pipeline-executions/{hidden['pipelineExecutionId']}"
    assert account.api("GET", path).status_code == 403
    account.control("changes", {"project": "Payroll", "forbidden": False})
    assert account.api("GET", path).status_code == 200


def test_one_date_header_tells_the_servers_clock_and_all_times_are_on_it():
    account = Account("skew")
    answer = account.api("GET", "/pipeline-executions", params={"status": "RUNNING", "pipelineName": "hangs"})
    assert [parsedate_to_datetime(date) for date in answer.headers.get_list("date")] == [T0 + timedelta(minutes=5)]
    assert answer.json()["results"][0]["startedAt"] == "2026-03-01T11:05:00Z"
    account.control("clock", {"offset": "-90s"})
    answer = account.api("GET", "/projects")
    assert parsedate_to_datetime(answer.headers["date"]) == T0 - timedelta(seconds=90)


def test_unknown_paths_and_methods_are_problems(one):
    for method, path, code in (("GET", "/nowhere", 404), ("DELETE", "/projects", 405)):
        answer = one.api(method, path)
        assert answer.status_code == code
        assert answer.headers["content-type"] == "application/problem+json"
