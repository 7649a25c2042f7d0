"""The question marks of the API's documentation: each can be answered either way."""

import re

import pytest

from .asking import ONE_PIPELINE, Account

FIELDS = {
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
}


def with_answers(settings):
    return Account(f"[answers]\n{settings}\n" + ONE_PIPELINE.replace('history = "0s"', ""))


def a_run(account):
    return account.execute().json()["pipelineExecutionId"]


def read(account, run_id):
    return account.get(f"/projects/{account.project_id}/pipeline-executions/{run_id}")


def test_a_run_is_wrapped_or_bare():
    account = Account(ONE_PIPELINE)
    run_id = a_run(account)
    assert set(read(account, run_id)) == {"result"}
    account.control("answers", {"wrapped_run": False})
    assert read(account, run_id)["pipelineExecutionId"] == run_id


def test_a_run_may_omit_its_project(one):
    run_id = a_run(one)
    one.control("answers", {"run_omits_project_id": True})
    assert "projectId" not in one.run(run_id)
    assert "projectId" in one.runs()[0]


def test_absent_fields_may_be_null(one):
    a_run(one)
    one.control("answers", {"nulls": True})
    page = one.get("/pipeline-executions")
    assert set(page["results"][0]) == FIELDS
    assert page["results"][0]["finishedAt"] is None
    assert page["more"] is None
    environment = one.get(f"/projects/{one.project_id}/environments")["results"][0]
    assert environment == {"name": "prod", "defaultAgentName": None, "defaultAgentId": None}


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ("", "2026-03-01T12:00:00Z"),
        ("fraction_digits = 1", "2026-03-01T12:00:00.0Z"),
        ("fraction_digits = 6", "2026-03-01T12:00:00.000000Z"),
        ('zone = "+00:00"', "2026-03-01T12:00:00+00:00"),
        ('zone = "+02:00"\nfraction_digits = 5', "2026-03-01T14:00:00.00000+02:00"),
        ('zone = "-05:00"', "2026-03-01T07:00:00-05:00"),
        ('zone = ""', "2026-03-01T12:00:00"),
    ],
)
def test_times_take_every_form_seen(settings, form):
    account = with_answers(settings)
    a_run(account)
    assert account.runs()[0]["startedAt"] == form


def test_mixed_times_have_1_to_6_digits_and_several_zones(one):
    one.control("answers", {"mixed_times": True})
    for _ in range(200):
        one.execute()
    starts = [run["startedAt"] for run in one.runs(limit=100)]
    forms = [re.fullmatch(r"2026-03-01T1[24]:00:00\.(\d+)(Z|\+\d\d:00|)", start) for start in starts]
    assert {len(form[1]) for form in forms} == {1, 2, 3, 4, 5, 6}
    assert {form[2] for form in forms} == {"Z", "", "+00:00", "+02:00"}


@pytest.mark.parametrize(
    ("values", "seen"),
    [("all", {"RUNNING", "SUCCESS"}), ("first", {"SUCCESS"}), ("last", {"RUNNING"})],
)
def test_a_second_status_value_is_taken_or_ignored(one, values, seen):
    a_run(one)
    one.wait(minutes=10)
    a_run(one)
    one.control("answers", {"status_values": values})
    assert {run["status"] for run in one.runs(status=["SUCCESS", "RUNNING"])} == seen


def test_a_second_status_value_may_be_refused(one):
    one.control("answers", {"status_values": "refuse"})
    both = one.api("GET", "/pipeline-executions", params={"status": ["RUNNING", "CANCELLING"]})
    assert (both.status_code, both.json()["violations"][0]["field"]) == (400, "status")
    assert one.runs(status="RUNNING") == []


@pytest.mark.parametrize(("order", "place"), [("first", 0), ("created", 1), ("last", 2)])
def test_undated_runs_stand_anywhere(order, place):
    account = with_answers(f'undated_order = "{order}"\nundated_forbidden = true')
    a_run(account)
    account.wait(seconds=1)
    account.control("changes", {"project": "Finance", "environment": "prod", "allowed": False})
    forbidden = a_run(account)
    account.wait(seconds=1)
    account.execute(environmentName="test")
    runs = account.runs(limit=1)
    assert [run["pipelineExecutionId"] == forbidden for run in runs].index(True) == place
    assert len(runs) == 3
    assert "startedAt" not in runs[place]
    assert runs[place]["status"] == "FORBIDDEN"


def test_undated_runs_escape_filters_on_the_start_unless_told_otherwise():
    account = with_answers("undated_forbidden = true")
    account.control("changes", {"project": "Finance", "allowed": False})
    a_run(account)
    after = {"startedAfter": "2020-01-01T00:00:00Z"}
    assert (len(account.runs(**after)), len(account.runs())) == (0, 1)
    account.control("answers", {"undated_match_times": True})
    assert len(account.runs(**after)) == 1


def test_forbidden_runs_may_be_dated(one):
    one.control("changes", {"project": "Finance", "allowed": False})
    run = one.run(a_run(one))
    assert (run["status"], run["startedAt"], run["finishedAt"]) == ("FORBIDDEN", *["2026-03-01T12:00:00Z"] * 2)


def test_two_projects_may_share_a_name():
    account = Account(ONE_PIPELINE + '[[projects]]\nkey = "other"\nname = "Finance"\nenvironments = ["prod"]\n')
    projects = account.get("/projects")["results"]
    assert [each["name"] for each in projects] == ["Finance", "Finance"]
    assert len({each["id"] for each in projects}) == 2


def test_an_unfinished_run_may_have_a_status_that_nobody_knows(one):
    body = {"pipelineName": "finance/nightly-load.orch.yaml", "status": "PAUSED", "unfinished": True, "duration": "5m"}
    run_id = one.control("runs", body)["pipelineExecutionId"]
    assert (one.run(run_id)["status"], "finishedAt" in one.run(run_id)) == ("PAUSED", False)
    assert one.runs(status="RUNNING") == []
    one.wait(minutes=5)
    assert one.run(run_id)["status"] == "SUCCESS"
    run_id = one.control("runs", body)["pipelineExecutionId"]
    assert one.cancel(run_id).status_code == 200
    assert one.status(run_id) == "CANCELLING"
    finished = one.control("runs", {"pipelineName": "finance/nightly-load.orch.yaml", "status": "MELTED"})
    assert one.run(finished["pipelineExecutionId"])["finishedAt"]


def test_errors_may_be_html(one):
    one.control("answers", {"html_errors": True})
    answer = one.api("GET", "/projects/nope/environments")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert answer.text.startswith("<html>")


def test_a_page_may_count_nothing_beside_its_results(one):
    one.control("answers", {"page_counts": False})
    page = one.get("/projects")
    assert (page["size"], page["total"], len(page["results"])) == (0, 0, 1)


def test_the_default_agent_is_spelt_either_way():
    account = Account("calm")
    path = f"/projects/{account.project_id}/environments"
    assert account.get(path)["results"][0]["defaultAgentId"]
    account.control("answers", {"agent_id_key": "defaultAgentID"})
    assert account.get(path)["results"][0]["defaultAgentID"]


def test_unknown_settings_are_refused(one):
    for body in ({"colour": True}, {"wrapped_run": "yes"}, {"zone": "Mars"}, {"undated_order": "first"}):
        assert one.ask("POST", "/control/answers", json=body).status_code == 400, body


def test_token_paging_can_be_by_offset_from_the_start():
    account = with_answers('page_tokens = "offset"')
    for _ in range(4):
        a_run(account)
        account.wait(seconds=1)
    first = account.get("/pipeline-executions", limit=2)
    a_run(account)
    second = account.get("/pipeline-executions", limit=2, paginationToken=first["more"])
    assert first["results"][1] == second["results"][0], "a new run has pushed it down"
