import pytest

from .asking import ONE_PIPELINE, Account


def ids(runs):
    return [run["pipelineExecutionId"] for run in runs]


def true_runs(account, **params):
    pipelines = account.ask("GET", "/control/truth", params=params).json()["pipelines"]
    return [run for pipeline in pipelines for run in pipeline["runs"]]


@pytest.mark.parametrize("limit", [1, 7, 25, 100])
def test_walking_all_pages_gives_every_run_once_newest_start_first(limit):
    account = Account(ONE_PIPELINE.replace('"0s"', '"1d"').replace('duration = "10m"', 'every = "20m"'))
    runs = account.runs(limit=limit)
    assert sorted(ids(runs)) == sorted(ids(true_runs(account)))
    starts = [run["startedAt"] for run in runs]
    assert starts == sorted(starts, reverse=True)
    assert len(runs) == 144  # two environments, three an hour


def test_runs_that_start_at_the_same_instant_are_all_listed_once(one):
    for _ in range(9):
        one.execute()
    assert len(set(ids(one.runs(limit=2)))) == 9


def test_new_runs_do_not_shift_rows_while_paging(one):
    for _ in range(4):
        one.execute()
        one.wait(seconds=1)
    first = one.get("/pipeline-executions", limit=2)
    one.execute()
    second = one.get("/pipeline-executions", limit=2, paginationToken=first["more"])
    assert len(set(ids(first["results"] + second["results"]))) == 4
    assert "more" not in second


@pytest.mark.parametrize(
    ("asked", "given", "why"),
    [(None, 25, "the default"), (10, 10, "as asked"), (100, 100, "the most"), (1000, 100, "capped, not refused")],
)
def test_a_page_has_at_most_limit_runs(one, asked, given, why):
    for _ in range(120):
        one.execute()
    params = {} if asked is None else {"limit": asked}
    assert len(one.get("/pipeline-executions", **params)["results"]) == given, why


def test_status_may_be_repeated_and_lists_runs_with_one_of_the_values():
    account = Account("failing")
    both = account.runs(status=["FAILED", "CANCELLED"], limit=100)
    assert {run["status"] for run in both} == {"FAILED", "CANCELLED"}
    assert sorted(ids(both)) == sorted(ids(true_runs(account, status=["FAILED", "CANCELLED"])))
    starts = [run["startedAt"] for run in both]
    assert starts == sorted(starts, reverse=True)


def test_a_pipeline_name_matches_in_part_and_in_any_case():
    account = Account("calm")
    names = {run["pipelineName"] for run in account.runs(pipelineName="LOAD", limit=100)}
    assert names == {"finance/nightly-load.orch.yaml", "finance/shared/load-dimensions.orch.yaml"}


def test_case_does_not_matter_on_either_side():
    account = Account(ONE_PIPELINE.replace("nightly-load", "Nightly-LOAD"))
    account.execute("finance/Nightly-LOAD.orch.yaml")
    assert len(account.runs(pipelineName="FINANCE/nightly-Load")) == 1


@pytest.mark.parametrize("key", ["projectId", "environmentName"])
def test_projects_and_environments_match_exactly(key):
    account = Account("calm")
    wanted = account.runs(limit=100)[0][key]
    matching = account.runs(limit=100, **{key: wanted})
    assert sorted(ids(matching)) == sorted(ids(run for run in account.runs(limit=100) if run[key] == wanted))
    assert account.runs(limit=100, **{key: wanted[:-1]}) == []


def test_a_schedule_id_lists_the_runs_of_that_schedule_only():
    account = Account("calm")
    schedule = next(
        run["scheduleId"] for run in account.runs(limit=100) if run["pipelineName"].endswith("report.orch.yaml")
    )
    runs = account.runs(scheduleId=schedule)
    assert {run["trigger"] for run in runs} == {"SCHEDULE"}
    assert {run["scheduleId"] for run in runs} == {schedule}


def test_started_after_and_before_are_inclusive(one):
    made = []
    for _ in range(3):
        made.append(one.execute().json()["pipelineExecutionId"])
        one.wait(seconds=1)
    middle = one.run(made[1])["startedAt"]
    assert ids(one.runs(startedAfter=middle)) == [made[2], made[1]]
    assert ids(one.runs(startedBefore=middle)) == [made[1], made[0]]
    assert ids(one.runs(startedAfter=middle, startedBefore=middle)) == [made[1]]


@pytest.mark.parametrize(
    "spelling", ["2026-03-01T12:00:00.000000Z", "2026-03-01T13:00:00.0+01:00", "2026-03-01T12:00:00"]
)
def test_filters_accept_fractions_offsets_and_no_zone(one, spelling):
    run_id = one.execute().json()["pipelineExecutionId"]
    assert ids(one.runs(startedAfter=spelling)) == [run_id]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"status": "running"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"startedAfter": "yesterday"}, "startedAfter"),
        ({"startedBefore": "2026-03-01"}, "startedBefore"),
        ({"paginationToken": "nonsense"}, "paginationToken"),
        ({"timeFrame": "LAST_DAY"}, "timeFrame"),
    ],
)
def test_what_a_query_cannot_mean_is_refused_by_name(one, params, field):
    answer = one.api("GET", "/pipeline-executions", params=params)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["field"] for each in answer.json()["violations"]] == [field]


def test_a_token_is_refused_with_other_filters(one):
    for _ in range(3):
        one.execute()
    more = one.get("/pipeline-executions", limit=1)["more"]
    answer = one.api("GET", "/pipeline-executions", params={"limit": 1, "status": "RUNNING", "paginationToken": more})
    assert answer.status_code == 400
    assert one.get("/pipeline-executions", limit=2, paginationToken=more)["results"]  # the limit may change


def test_the_lists_of_an_account_are_paged_by_number():
    account = Account(ONE_PIPELINE.replace("nightly-load", "load-{n}").replace("spread", "count = 60\nspread"))
    path = f"/projects/{account.project_id}/published-pipelines"
    pages = [account.get(path, environmentName="prod", page=page, size=25) for page in range(4)]
    assert [len(page["results"]) for page in pages] == [25, 25, 10, 0]
    assert {(page["size"], page["total"]) for page in pages} == {(25, 60)}
    assert len({each["name"] for page in pages for each in page["results"]}) == 60
    assert account.get(path, size=500)["size"] == 100


def test_schedules_name_pipeline_environment_and_the_next_run():
    account = Account("calm")
    schedules = account.get(f"/projects/{account.project_id}/schedules")["results"]
    assert len(schedules) == 3
    for schedule in schedules:
        assert schedule["nextRunAt"] > "2026-03-01T12:00:00Z"
        assert schedule["cronExpression"]
        assert schedule["scheduleEnabled"] is True


def test_a_list_of_a_very_large_account_says_the_same_as_its_truth():
    account = Account("large")
    active = account.runs(status=["RUNNING", "CANCELLING"], limit=100)
    true = account.ask("GET", "/control/truth", params={"runs": "0"}).json()
    assert true["totalRuns"] > 100_000
    assert len(active) == sum(pipeline["statuses"].get("RUNNING", 0) for pipeline in true["pipelines"])
