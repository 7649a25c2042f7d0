"""Step 4 of the guide: start a pipeline, once, and wait for its end."""

import json

import pytest

pytestmark = pytest.mark.e2e

SLOW = ("execute", "Finance", "finance/slow.orch.yaml", "-e", "prod")
QUICK = ("execute", "Finance", "finance/quick.orch.yaml", "-e", "prod")
FAILS = ("execute", "Finance", "finance/month-end.orch.yaml", "-e", "prod")
LINK = "https://app.matillion.com/observability-dashboard/pipeline/"


def started(maia):
    """The ids of the runs that exist, called ones left out."""
    runs = [run for pipeline in maia.control("truth")["pipelines"] for run in pipeline["runs"]]
    return [run["pipelineExecutionId"] for run in runs if run["parentId"] is None]


# Starting


def test_it_prints_the_runs_id_and_its_link(maia):
    done = maia(*SLOW)
    (run_id,) = started(maia)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Started finance/slow.orch.yaml in prod (Finance)",
        f"run   {run_id}",
        f"link  {LINK}{run_id}",
    ]


def test_plain_prints_the_id_alone_and_json_the_apis_own_answer(maia):
    plain = maia(*SLOW, "--plain")
    (record,) = maia.json(*SLOW)
    assert plain.stderr == ""
    assert sorted([plain.stdout.rstrip("\n"), record["pipelineExecutionId"]]) == sorted(started(maia))


def test_everything_that_was_given_reaches_the_api(maia):
    (maia.folder / "days.csv").write_bytes('\ufeffmon,"1,5"\r\ntue,""\r\n'.encode())
    runner = ["--agent", "4F2D1C3A-0b5e-4d6f-8a7b-9c0d1e2f3a4b"]
    variables = ["--var", "day=a=b", "--var", "empty=", "--grid", "days=days.csv"]
    done = maia(*SLOW, "--version", "v7", "--tag", "t1", *runner, *variables)
    assert done.returncode == 0, done.stderr
    assert maia.bodies == [
        {
            "pipelineName": "finance/slow.orch.yaml",
            "environmentName": "prod",
            "versionName": "v7",
            "executionTag": "t1",
            "agentId": "4f2d1c3a-0b5e-4d6f-8a7b-9c0d1e2f3a4b",
            "scalarVariables": {"day": "a=b", "empty": ""},
            "gridVariables": {"days": [["mon", "1,5"], ["tue", ""]]},
        }
    ]


@pytest.mark.parametrize(
    ("pipeline", "environment", "said"),
    [
        ("slow", "prod", '"slow" is not published to prod in Finance; nearest: finance/slow.orch.yaml, '),
        ("finance/slow.orch.yaml", "test", "is not published to test in Finance; nearest: finance/quick.orch.yaml"),
        ("finance/slow.orch.yaml", "prod ", 'there is no environment "prod " in Finance; nearest: prod, test'),
        ("finance/closed.orch.yaml", "prod", "finance/closed.orch.yaml is disabled in prod (Finance)"),
    ],
)
def test_what_cannot_be_started_is_said_in_words(maia, pipeline, environment, said):
    done = maia("execute", "Finance", pipeline, "-e", environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert started(maia) == []


def test_a_tag_that_is_in_use_is_a_conflict_that_names_the_run(maia):
    first = maia(*SLOW, "--tag", "nightly", "--plain").stdout.strip()
    done = maia(*SLOW, "--tag", "nightly", "--plain")
    assert (done.returncode, done.stdout) == (4, "")
    assert f'a run with tag "nightly" is still going in prod: {first}' in done.stderr
    assert started(maia) == [first]


def test_a_conflict_whose_run_can_be_several_names_them_all(maia):
    ids = {maia(*SLOW, *tag, "--plain").stdout.strip() for tag in ([], ["--tag", "nightly"])}
    done = maia(*SLOW, "--tag", "nightly")
    assert done.returncode == 4
    assert "probably one of these: " in done.stderr
    assert all(run_id in done.stderr for run_id in ids)


def test_a_conflict_whose_run_the_list_does_not_show_says_that(maia):
    maia(*SLOW, "--tag", "nightly")
    maia.control("faults", {"kind": "stale", "seconds": 3600})
    done = maia(*SLOW, "--tag", "nightly")
    assert done.returncode == 4
    assert 'a run with tag "nightly" is still going in prod; the list does not show it (yet)' in done.stderr


def test_of_two_concurrent_starts_with_one_tag_exactly_one_wins(maia):
    both = [maia.start(*SLOW, "--tag", "nightly", "--plain") for _ in range(2)]
    ends = sorted(each.ended() for each in both)
    assert [code for code, _, _ in ends] == [0, 4]
    (run_id,) = started(maia)
    assert [output for _, output, _ in ends] == [f"{run_id}\n", ""]
    assert run_id in ends[1][2]


# What may have happened is not done again


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 502}, {"kind": "reset"}, {"kind": "html"}])
def test_a_start_without_a_clear_answer_is_not_repeated_and_it_says_how_to_look(maia, fault):
    maia.control("faults", {**fault, "method": "POST", "path": "*/pipeline-executions"})
    done = maia(*SLOW)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it may have started, and without a --tag could start twice, so it was not tried again" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert len(maia.requests("POST")) == 1


def test_the_way_to_look_that_it_tells_shows_the_run_that_did_start(maia):
    maia.control("faults", {"kind": "reset", "after_bytes": 5, "method": "POST", "path": "*/pipeline-executions"})
    said = maia(*SLOW, "--tag", "nightly").stderr
    assert "the same --tag starts no second one while that run goes" in said
    look = said.split("look: maia-exporter ")[1].split()
    assert maia(*look, "--plain").stdout.split() == started(maia)


def test_a_silent_server_ends_in_a_timeout_that_is_not_repeated(maia):
    config = '[maia]\nrequest_timeout = "1s"\nclient_id = "demo"\nclient_secret = "demo"\n'
    urls = f'api_url = "{maia.served.api_url}"\ntoken_url = "{maia.served.token_url}"\n'
    (maia.folder / "own.toml").write_text(config + urls)
    maia.control("faults", {"kind": "hang", "method": "POST", "path": "*/pipeline-executions"})
    done = maia(*SLOW, "--config", "own.toml")
    assert done.returncode == 1
    assert "no whole answer in time" in done.stderr
    assert "not tried again" in done.stderr
    assert "--config own.toml" in done.stderr, "what is to be copied uses the same config"
    assert len(maia.requests("POST")) == 1


def test_a_start_that_the_account_throttles_was_not_carried_out_and_says_so_plainly(maia):
    maia.control("faults", {"kind": "rate_limited", "retry_after": 1, "method": "POST"})
    done = maia(*SLOW)
    assert done.returncode == 1
    assert "HTTP 429" in done.stderr
    assert "may have started" not in done.stderr


def test_ctrl_c_while_a_start_is_on_its_way_says_that_it_may_have_started(maia):
    maia.control("faults", {"kind": "hang", "method": "POST", "path": "*/pipeline-executions"})
    going = maia.start(*SLOW)
    while not maia.requests("POST"):
        pass
    going.interrupt()
    code, _, errors = going.ended()
    assert code == 130
    assert "it may have started" in errors


# Waiting


def test_waiting_ends_with_success_and_exit_0(maia):
    done = maia(*QUICK, "--wait")
    (run_id,) = started(maia)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == f"run   {run_id}"
    assert done.stdout.splitlines()[2:] == ["SUCCESS after 2 s", f"link  {LINK}{run_id}"]
    assert "RUNNING for " in done.stderr
    assert "\x1b" not in done.stderr, "plain lines where there is no terminal"


def test_plain_waiting_leaves_the_id_alone_on_standard_output(maia):
    done = maia(*QUICK, "--wait", "--plain")
    assert done.stdout.split() == started(maia)
    assert "SUCCESS after 2 s" in done.stderr


def test_json_waiting_prints_the_run_as_it_ended(maia):
    (record,) = maia.json(*QUICK, "--wait")
    assert (record["pipelineExecutionId"], record["status"]) == (started(maia)[0], "SUCCESS")


def test_a_failure_shows_the_step_that_failed_down_in_the_called_pipeline_and_exits_1(accounts):
    maia = accounts(speed=30)
    done = maia(*FAILS, "--wait")
    (run_id,) = started(maia)
    assert done.returncode == 1
    assert done.stdout.splitlines()[2].startswith("FAILED after ")
    assert done.stdout.splitlines()[3:] == [
        "  Duplicate row detected",
        "  step Run merge.orch.yaml > Merge Invoices: FAILED: Duplicate row detected",
        f"link  {LINK}{run_id}",
    ]


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN", "UNKNOWN"])
def test_any_other_end_than_success_exits_1(maia, status):
    going = maia.start(*SLOW, "--wait")
    going.until("RUNNING for ")
    maia.control(f"runs/{started(maia)[0]}/end", {"status": status})
    code, output, _ = going.ended()
    assert code == 1
    assert f"\n{status} after " in output


def test_a_timeout_exits_3_says_that_it_still_runs_and_cancels_nothing(maia):
    done = maia(*SLOW, "--wait", "--timeout", "1s", "--json")
    (run_id,) = started(maia)
    assert done.returncode == 3
    assert "1 s passed, and the run still goes on (RUNNING)" in done.stderr
    assert f"to cancel it: maia-exporter cancel {run_id}" in done.stderr
    assert json.loads(done.stdout)[0]["status"] == "RUNNING"
    assert maia.requests("PATCH") == []


def test_cancel_on_timeout_asks_for_the_end_and_says_what_the_api_reports(maia):
    done = maia(*SLOW, "--wait", "--timeout", "1s", "--cancel-on-timeout")
    assert done.returncode == 3
    assert "it was asked to end and is CANCELLING now" in done.stderr
    assert maia.bodies[1:] == [{"status": "CANCELLED", "forceUpdate": False}]


def test_a_run_that_ends_while_it_is_given_up_is_told_by_its_end(maia):
    maia.control("faults", {"kind": "patch_race", "outcome": "SUCCESS", "method": "PATCH"})
    done = maia(*SLOW, "--wait", "--timeout", "1s", "--cancel-on-timeout")
    assert done.returncode == 0
    assert "SUCCESS after " in done.stdout


def test_a_refused_cancel_does_not_hide_that_the_time_passed(maia):
    maia.control("faults", {"kind": "status", "status": 403, "method": "PATCH"})
    done = maia(*SLOW, "--wait", "--timeout", "1s", "--cancel-on-timeout")
    assert done.returncode == 3
    assert 'could not be cancelled: no rights in project "Finance"' in done.stderr


def test_a_hung_api_does_not_hold_up_the_timeout(maia):
    maia.control("faults", {"kind": "hang", "method": "GET", "path": "*/pipeline-executions/*"})
    done = maia(*SLOW, "--wait", "--timeout", "1s")
    assert done.returncode == 3
    assert "whether it still runs is not known" in done.stderr


def test_ctrl_c_while_waiting_cancels_nothing_and_says_how_to(maia):
    going = maia.start(*SLOW, "--wait")
    going.until("RUNNING for ")
    going.interrupt()
    code, output, errors = going.ended()
    (run_id,) = started(maia)
    assert code == 130
    assert run_id in output
    assert f"no longer waiting; the run goes on; to cancel it: maia-exporter cancel {run_id}" in errors
    assert (maia.requests("PATCH"), maia.truth(run_id)["status"]) == ([], "RUNNING")


def test_trouble_that_passes_does_not_end_the_waiting(maia):
    reads = {"method": "GET", "path": "*/pipeline-executions/*", "count": 1}
    maia.control("faults", {"kind": "status", "status": 503, **reads})
    done = maia(*QUICK, "--wait")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("still waiting: read run") == 1
    assert "HTTP 503" in done.stderr


def test_a_run_that_surfaces_late_is_waited_for(maia):
    maia.control("faults", {"kind": "status", "status": 404, "path": "*/pipeline-executions/*", "count": 1})
    assert maia(*QUICK, "--wait").returncode == 0


def test_a_token_that_dies_while_waiting_is_renewed(maia):
    going = maia.start(*SLOW, "--wait")
    going.until("RUNNING for ")
    maia.control("token/revoke", {})
    maia.control(f"runs/{started(maia)[0]}/end", {"status": "SUCCESS"})
    assert going.ended()[0] == 0


def test_rights_that_are_lost_while_waiting_end_it_with_the_way_to_look(maia):
    going = maia.start(*SLOW, "--wait")
    going.until("RUNNING for ")
    maia.control("changes", {"project": "Finance", "forbidden": True})
    code, _, errors = going.ended()
    (run_id,) = started(maia)
    assert code == 1
    assert 'no rights in project "Finance"' in errors
    assert f"the run may go on; look: maia-exporter status {run_id}" in errors


# A bad command line ends before anything is asked


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--var", "day"], "'day' is not NAME=VALUE"),
        (["--var", "=1"], "'=1' is not NAME=VALUE"),
        (["--var", "a=1", "--var", "a=2"], "'a' is given twice"),
        (["--grid", "g=missing.csv"], "missing.csv cannot be read: No such file"),
        (["--grid", "g=uneven.csv"], "uneven.csv is not rectangular: line 3 has 1 cell, the first row 2 cells"),
        (["--grid", "g=gap.csv"], 'line 2 is empty; remove it, or write "" for an empty cell'),
        (["--grid", "g=open.csv"], "open.csv, line 1: unexpected end of data"),
        (["--grid", "g=latin.csv"], "latin.csv is not UTF-8 text"),
        (["--agent", "runner-1"], "'runner-1' is not an id such as"),
        (["--tag", ""], "it is empty"),
        (["--timeout", "10"], "has no unit"),
        (["--timeout", "1h"], "--timeout and --cancel-on-timeout go with --wait"),
        (["--wait", "--cancel-on-timeout"], "--cancel-on-timeout goes with --timeout"),
    ],
)
def test_bad_input_exits_2_before_any_request(maia, options, said):
    files = {"uneven.csv": b"a,b\nc,d\ne\n", "gap.csv": b"a\n\nb\n", "open.csv": b'"a', "latin.csv": b"\xe9\n"}
    for name, content in files.items():
        (maia.folder / name).write_bytes(content)
    done = maia.inside(*SLOW, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert maia.control("log")["requests"] == []
