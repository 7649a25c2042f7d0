import pytest

from .asking import ONE_PIPELINE, Account

LOAD = "finance/nightly-load.orch.yaml"


def started(account, **body):
    answer = account.execute(**body)
    assert answer.status_code == 201, answer.text
    return answer.json()["pipelineExecutionId"]


def test_an_executed_run_goes_and_ends_after_its_duration(one):
    run_id = started(one)
    assert one.run(run_id) == {
        "pipelineExecutionId": run_id,
        "pipelineName": LOAD,
        "pipelineType": "ORCHESTRATION",
        "projectId": one.project_id,
        "environmentName": "prod",
        "status": "RUNNING",
        "trigger": "API",
        "startedAt": "2026-03-01T12:00:00Z",
    }
    one.wait(minutes=9, seconds=59)
    assert one.status(run_id) == "RUNNING"
    one.wait(seconds=1)
    run = one.run(run_id)
    assert (run["status"], run["finishedAt"]) == ("SUCCESS", "2026-03-01T12:10:00Z")
    assert run["message"] == '"Load": Success'


def test_a_tag_is_refused_while_a_run_with_it_goes_in_that_environment(one):
    started(one, executionTag="month-end")
    assert one.execute(executionTag="month-end").status_code == 409
    assert one.execute(executionTag="month-end", environmentName="test").status_code == 201
    assert one.execute(executionTag="other").status_code == 201
    assert one.execute().status_code == 201
    one.wait(minutes=10)
    assert one.execute(executionTag="month-end").status_code == 201


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        ({"pipelineName": "finance/nope.orch.yaml"}, 404, "unknown pipeline"),
        ({"environmentName": "nowhere"}, 404, "unknown environment"),
        ({"environmentName": None}, 400, "required"),
        ({"pipelineName": 7}, 400, "a string"),
        ({"scalarVariables": {"a": 1}}, 400, "values are strings"),
        ({"gridVariables": {"g": [["a"], "b"]}}, 400, "rows of strings"),
        ({"scalarVariables": {"a": "1"}, "gridVariables": {"g": [["a", "b"]]}, "versionName": "v2"}, 201, "all fine"),
    ],
)
def test_execute_checks_its_body(one, body, code, why):
    assert one.execute(**body).status_code == code, why


@pytest.mark.parametrize(("flag", "code"), [("published = false", 404), ("disabled = true", 410)])
def test_an_unpublished_pipeline_is_not_found_and_a_disabled_one_is_gone(flag, code):
    account = Account(ONE_PIPELINE + flag)
    assert account.execute().status_code == code


def test_a_polite_request_goes_through_cancelling_to_cancelled(one):
    run_id = started(one)
    assert one.cancel(run_id).json() == {"pipelineExecutionId": run_id}
    assert one.status(run_id) == "CANCELLING"
    assert [run["status"] for run in one.runs(status="CANCELLING")] == ["CANCELLING"]
    one.wait(seconds=9)
    assert one.status(run_id) == "CANCELLING"
    one.wait(seconds=1)
    assert one.run(run_id)["status"] == "CANCELLED"
    assert one.run(run_id)["finishedAt"] == "2026-03-01T12:00:10Z"


@pytest.mark.parametrize(
    ("manner", "polite", "later", "forced"),
    [
        ("obeys", "CANCELLING", "CANCELLED", None),
        ("finishes", "CANCELLING", "SUCCESS", None),
        ("ignores", "RUNNING", "RUNNING", "CANCELLED"),
        ("deaf", "CANCELLING", "CANCELLING", "CANCELLED"),
        ("immortal", "CANCELLING", "CANCELLING", "CANCELLING"),
    ],
)
def test_runs_obey_in_their_own_manner(manner, polite, later, forced):
    account = Account(ONE_PIPELINE + f'cancel = "{manner}"\noutcomes = {{ HANG = 1 }}')
    run_id = started(account)
    account.wait(hours=5)
    account.cancel(run_id)
    assert account.status(run_id) == polite
    account.wait(minutes=1)
    assert account.status(run_id) == later
    if forced is not None:
        assert account.cancel(run_id, force=True).status_code == 200
        account.wait(seconds=1)
        assert account.status(run_id) == forced


def test_force_ends_a_run_within_a_second(one):
    run_id = started(one)
    one.cancel(run_id)
    one.cancel(run_id, force=True)
    one.wait(seconds=1)
    assert one.status(run_id) == "CANCELLED"


def test_a_run_about_to_end_finishes_before_the_cancel(one):
    run_id = started(one)
    one.wait(minutes=9, seconds=55)
    one.cancel(run_id)
    one.wait(seconds=30)
    assert one.run(run_id)["status"] == "SUCCESS"


@pytest.mark.parametrize("code", [200, 400, 404, 409])
def test_a_request_to_end_a_finished_run_is_answered_as_set(code):
    account = Account(ONE_PIPELINE)
    account.control("answers", {"cancel_finished": code})
    run_id = started(account)
    account.wait(minutes=10)
    assert account.cancel(run_id).status_code == code
    assert account.status(run_id) == "SUCCESS"


@pytest.mark.parametrize(
    "body",
    [
        {"status": "CANCELLED"},
        {"forceUpdate": True},
        {"status": "SUCCESS", "forceUpdate": True},
        {"status": "CANCELLED", "forceUpdate": "false"},
        {},
    ],
)
def test_a_request_to_end_needs_both_fields(one, body):
    run_id = started(one)
    path = f"/projects/{one.project_id}/pipeline-executions/{run_id}"
    assert one.api("PATCH", path, json=body).status_code == 400
    assert one.status(run_id) == "RUNNING"


def test_the_log_keeps_what_a_run_truly_was_when_its_end_was_asked_for(one):
    run_id = started(one)
    one.cancel(run_id)
    one.wait(minutes=1)
    one.cancel(run_id, force=True)
    patches = [each for each in one.control("log")["requests"] if each["method"] == "PATCH"]
    assert [(p["run_id"], p["true_status"], p["applied"], p["force"], p["status"]) for p in patches] == [
        (run_id, "RUNNING", True, False, 200),
        (run_id, "CANCELLED", False, True, 409),
    ]


def test_unknown_runs_and_projects_are_not_found(one):
    run_id = started(one)
    for path in (
        f"/projects/{one.project_id}/pipeline-executions/nope",
        f"/projects/nope/pipeline-executions/{run_id}",
    ):
        for ending in ("", "/status", "/steps"):
            answer = one.api("GET", path + ending)
            assert answer.status_code == 404
            assert answer.json()["title"] == "Not Found"


CALLING = (
    ONE_PIPELINE
    + """
calls = ["shared/child.orch.yaml"]
outcomes = { FAILED = 1 }
messages = ["no space left"]
[[pipelines]]
project = "Finance"
name = "shared/child.orch.yaml"
"""
)


def test_a_step_names_its_child_whose_run_can_be_read():
    account = Account(CALLING)
    run_id = started(account)
    path = f"/projects/{account.project_id}/pipeline-executions/{run_id}/steps"
    first = account.get(path)["results"]
    assert [(step["name"], step["result"]["status"]) for step in first] == [("Start", "RUNNING")]
    account.wait(minutes=10)
    steps = account.get(path)["results"]
    assert [(step["name"], step["result"]["status"]) for step in steps] == [
        ("Start", "SUCCESS"),
        ("Extract", "SUCCESS"),
        ("Transform", "SUCCESS"),
        ("Load", "SUCCESS"),
        ("Run child.orch.yaml", "FAILED"),
    ]
    assert steps[-1]["result"]["message"] == "no space left"
    child = account.run(steps[-1]["childPipeline"]["id"])
    assert (child["status"], child["pipelineName"]) == ("FAILED", "shared/child.orch.yaml")
    assert (
        account.run(run_id)["startedAt"]
        <= child["startedAt"]
        <= child["finishedAt"]
        <= account.run(run_id)["finishedAt"]
    )


def test_a_cancelled_run_takes_its_children_along_and_skips_the_steps_it_never_began():
    account = Account(CALLING.replace("outcomes = { FAILED = 1 }", ""))
    run_id = started(account)
    account.wait(minutes=4)
    child_id = account.runs(pipelineName="child")[0]["pipelineExecutionId"]
    account.cancel(run_id, force=True)
    account.wait(seconds=1)
    assert account.status(child_id) == "CANCELLED"

    run_id = started(account)
    account.wait(seconds=20)
    account.cancel(run_id, force=True)
    account.wait(minutes=10)
    steps = account.get(f"/projects/{account.project_id}/pipeline-executions/{run_id}/steps")["results"]
    assert steps[0]["result"]["status"] == "CANCELLED"
    assert steps[-1]["result"] == {"status": "SKIPPED"}
    assert len(account.runs(pipelineName="child")) == 1


def test_steps_are_paged_and_some_answers_carry_no_total(one):
    run_id = started(one)
    one.wait(minutes=10)
    path = f"/projects/{one.project_id}/pipeline-executions/{run_id}/steps"
    assert [len(one.get(path, page=page, size=3)["results"]) for page in (0, 1, 2)] == [3, 1, 0]
    assert one.get(path)["total"] == 4
    one.control("answers", {"steps_total": False})
    assert "total" not in one.get(path)
