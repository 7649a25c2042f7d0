"""Step 5 of the guide: one run, its steps, and lists of runs."""

from datetime import UTC, datetime

import pytest

from exporter.core.model import PipelineKey, Run, Status
from exporter.core.state import Change, RunRecord
from exporter.store import record
from exporter.store.database import Database

pytestmark = pytest.mark.e2e

NOWHERE = "00000000-0000-4000-8000-000000000000"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def words(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# status


def test_status_shows_a_run_in_full(maia):
    run_id = maia.made_up(
        status="FAILED",
        startedAt="2026-03-01T12:00:00Z",
        finishedAt="2026-03-01T13:02:03Z",
        trigger="DESIGNER",
        user="ada@example.com",
        message='"Load": no such table',
    )
    assert maia("status", run_id).stdout.splitlines() == [
        f"run          {run_id}",
        "status       FAILED",
        "pipeline     finance/slow.orch.yaml",
        "environment  prod",
        "project      Finance",
        "trigger      DESIGNER (ada@example.com)",
        "started      2026-03-01 12:00:00Z",
        "ended        2026-03-01 13:02:03Z",
        "duration     1 h 2 min",
        'message      "Load": no such table',
        f"link         https://app.matillion.com/observability-dashboard/pipeline/{run_id}",
    ]


def test_status_takes_several_runs_of_any_project_in_upper_case_too(maia):
    first = maia.made_up(status="SUCCESS")
    second = maia.made_up("campaigns/refresh.orch.yaml")
    assert words(maia("status", first, second, "--plain")) == ["SUCCESS", "RUNNING"]
    assert [each["pipelineExecutionId"] for each in maia.json("status", second.upper(), first)] == [second, first]


def test_a_run_without_times_shows_none(maia):
    run_id = maia.made_up(status="FORBIDDEN", undated=True)
    shown = maia("status", run_id).stdout
    assert "status       FORBIDDEN" in shown
    assert "started " not in shown
    assert "duration" not in shown


def test_a_status_that_nobody_knows_is_shown_as_the_api_spelt_it(maia):
    run_id = maia.made_up(status="PAUSED", unfinished=True)
    assert words(maia("status", run_id, "--plain")) == ["PAUSED"]


def test_what_is_missing_does_not_hide_what_is_there(maia):
    run_id = maia.made_up()
    done = maia("status", NOWHERE, run_id, "--plain")
    assert (done.returncode, done.stdout) == (1, "RUNNING\n")
    assert done.stderr == (
        f"Error: there is no run {NOWHERE} in any of the 3 projects that these credentials see; no rights in Payroll\n"
    )


def test_naming_the_project_saves_the_search(maia):
    run_id = maia.made_up("campaigns/refresh.orch.yaml")
    words(maia("status", run_id, "--project", "Marketing"))
    assert len(maia.requests(path="/pipeline-executions/")) == 1
    done = maia("status", run_id, "--project", "Finance")
    assert done.returncode == 1
    assert f"there is no run {run_id} in Finance; without --project all projects are searched" in done.stderr


def test_runs_of_one_project_are_looked_for_where_the_first_was(maia):
    runs = [maia.made_up("campaigns/refresh.orch.yaml") for _ in range(3)]
    words(maia("status", *runs))
    assert len(maia.requests(path="/pipeline-executions/")) == 3 + 2, "only the first is searched, in three projects"


# the service's record


@pytest.fixture
def recorded(maia):
    """Writes a config that names a record, and a run into the record."""

    def write(run_id, project_id):
        (maia.folder / "config.toml").write_text(
            f'[maia]\nclient_id = "demo"\nclient_secret = "demo"\napi_url = "{maia.served.api_url}"\n'
            f'token_url = "{maia.served.token_url}"\n[store]\nurl = "sqlite:///record.db"\n'
        )
        key = PipelineKey(project_id, "prod", "campaigns/refresh.orch.yaml")
        run = Run(run_id=run_id, pipeline=key, status=Status.RUNNING, status_text="RUNNING", started_at=NOON)
        database = Database.open(f"sqlite:///{maia.folder}/record.db", exclusive=True)
        with database.transaction() as connection:
            record.write(connection, Change(runs=(RunRecord(run=run, first_seen_at=NOON),)))
        return database

    return write


def test_a_recorded_run_is_found_at_once_also_while_the_service_has_the_record(maia, recorded):
    run_id = maia.made_up("campaigns/refresh.orch.yaml")
    service = recorded(run_id, maia.project_id("Marketing"))
    try:
        assert words(maia("status", run_id, "--plain")) == ["RUNNING"]
    finally:
        service.close()
    assert len(maia.requests(path="/pipeline-executions/")) == 1


def test_a_record_that_is_wrong_or_damaged_costs_the_search_and_nothing_else(maia, recorded):
    run_id = maia.made_up("campaigns/refresh.orch.yaml")
    recorded(run_id, maia.project_id("Finance")).close()
    assert words(maia("status", run_id, "--plain")) == ["RUNNING"]
    (maia.folder / "record.db").write_bytes(b"no database" * 500)
    done = maia("status", run_id, "--plain")
    assert (done.returncode, done.stdout, done.stderr) == (0, "RUNNING\n", "")


def test_no_record_is_made_where_there_is_none(maia, recorded):
    run_id = maia.made_up("campaigns/refresh.orch.yaml")
    recorded(run_id, "").close()
    for file in maia.folder.glob("record.db*"):
        file.unlink()
    words(maia("status", run_id))
    assert list(maia.folder.glob("record.db*")) == []


# steps


def test_steps_are_a_tree_with_the_called_pipelines(accounts):
    maia = accounts(speed=30)
    run_id = maia("execute", "Finance", "finance/month-end.orch.yaml", "-e", "prod", "--wait", "--plain").stdout.strip()
    done = maia("steps", run_id)
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "STEP",
        "Start",
        "Run merge.orch.yaml (shared/merge.orch.yaml)",
        "├─ Read",
        "└─ Merge Invoices",
    ]
    last = done.stdout.splitlines()[-1].split()
    assert (last[3], last[-3:]) == ("FAILED", ["Duplicate", "row", "detected"])
    assert maia("steps", run_id, "--plain").stdout.splitlines() == ["Start", "Run merge.orch.yaml"]
    own = maia.json("steps", run_id)
    assert [each["name"] for each in own] == ["Start", "Run merge.orch.yaml"]
    assert own[1]["childPipeline"]["name"] == "shared/merge.orch.yaml"


def test_a_step_that_goes_on_shows_for_how_long(maia):
    run_id = maia.made_up(ago="2h")
    header, *rows = maia("steps", run_id).stdout.splitlines()
    assert header.split() == ["STEP", "STATUS", "DURATION", "MESSAGE"]
    assert [row.split("  ")[0] for row in rows] == ["Lock Positions"]
    assert "RUNNING  2 h" in rows[0]


def test_a_run_without_steps_says_so(maia):
    done = maia("steps", maia.made_up(status="FORBIDDEN"), "--plain")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "the run has no steps (yet); it is FORBIDDEN\n"


# executions


@pytest.fixture
def busy(maia):
    """Runs of every kind; their names tell how they differ. Newest last."""
    maia.forbidden = maia.made_up(status="FORBIDDEN", ago="5h")
    maia.old = maia.made_up(status="SUCCESS", ago="4h", duration="1m")
    maia.reload = maia.made_up("finance/reload.orch.yaml", status="FAILED", ago="3h", duration="1m")
    maia.marketing = maia.made_up(
        "campaigns/refresh.orch.yaml", status="FAILED", ago="2h", duration="1m", trigger="API"
    )
    maia.test = maia.made_up("finance/quick.orch.yaml", environmentName="test", ago="1h")
    maia.going = maia.made_up(ago="1m")
    return maia


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "going test marketing reload old forbidden"),
        ("--limit 2", "going test"),
        ("--status FAILED", "marketing reload"),
        ("--status forbidden --status FAILED", "marketing reload forbidden"),
        ("--project Finance --environment prod", "going reload old forbidden"),
        ("--project Marketing", "marketing"),
        ("-e test", "test"),
        ("--pipeline finance/slow.orch.yaml", "going old forbidden"),
        ("--pipeline LOAD --match", "reload"),
        ("--trigger API", "marketing"),
        ("--since 150m", "going test marketing"),
        ("--until 150m", "reload old forbidden"),
        ("--since 210m --until 90m", "marketing reload"),
        ("--since 2020-01-01 --until 2020-01-02T00:00:00+02:00", ""),
    ],
)
def test_executions_are_filtered_and_newest_first(busy, options, expected):
    assert words(busy("executions", *options.split(), "--plain")) == [getattr(busy, each) for each in expected.split()]


def test_executions_come_as_a_table_and_as_the_apis_own_objects(busy):
    header, first, *_ = busy("executions", "--project", "Marketing").stdout.splitlines()
    assert header.split() == ["STATUS", "STARTED", "DURATION", "PIPELINE", "ENVIRONMENT", "PROJECT", "TRIGGER", "RUN"]
    status, _, _, *rest = first.split()
    assert (status, rest) == (
        "FAILED",
        ["1", "min", "campaigns/refresh.orch.yaml", "prod", "Marketing", "API", busy.marketing],
    )
    (found,) = busy.json("executions", "--project", "Marketing")
    assert found == busy.json("status", busy.marketing)[0]


def test_a_run_that_is_asked_for_by_its_whole_name_hides_no_partial_match(busy):
    done = busy("executions", "--pipeline", "slow")
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, [])
    assert 'none is called exactly "slow" (--match looks for a part of the name)' in done.stderr


def test_it_reads_as_many_pages_as_it_needs_and_no_more(maia):
    for number in range(230):
        maia.made_up("finance/reload.orch.yaml" if number % 100 else "finance/slow.orch.yaml", status="SUCCESS")
    maia.control("log", method="DELETE")

    def pages(*options):
        count = len(words(maia("executions", *options, "--plain")))
        asked = len(maia.requests(path="/dpc/v1/pipeline-executions"))
        maia.control("log", method="DELETE")
        return count, asked

    assert pages("--limit", "20") == (20, 1)
    assert pages("--limit", "101") == (101, 2)
    assert pages("--limit", "1000") == (230, 3)
    assert pages("--limit", "2", "--pipeline", "finance/slow.orch.yaml") == (2, 1), "the API filters by part first"
    assert pages("--limit", "1", "--trigger", "SCHEDULE") == (1, 1)
    assert pages("--limit", "5", "--trigger", "API") == (0, 3)


@pytest.mark.parametrize("values", ["all", "refuse", "first", "last"])
def test_several_statuses_work_with_a_server_that_takes_one(busy, values):
    busy.control("answers", {"status_values": values})
    options = ("--status", "RUNNING", "--status", "FAILED", "--status", "FORBIDDEN")
    assert words(busy("executions", *options, "--plain")) == [
        getattr(busy, each) for each in ["going", "test", "marketing", "reload", "forbidden"]
    ]


@pytest.mark.parametrize("order", ["first", "last", "created"])
def test_runs_without_times_are_shown_wherever_the_list_has_them(accounts, order):
    maia = accounts(f'history = "0s"\n[answers]\nundated_order = "{order}"\n[[projects]]\nname = "One"\n')
    made = [maia.made_up("a.orch.yaml", status="FORBIDDEN", undated=True), maia.made_up("a.orch.yaml", status="FAILED")]
    options = ("--status", "FORBIDDEN", "--status", "FAILED", "--plain")
    assert sorted(words(maia("executions", *options))) == sorted(made)


def test_rows_that_shift_while_paging_are_shown_once(maia):
    for _ in range(120):
        maia.made_up(status="SUCCESS")
    maia.control("faults", {"kind": "shift"})
    shown = words(maia("executions", "--limit", "500", "--plain"))
    assert len(shown) == len(set(shown)) == 120


def test_where_projects_cannot_be_listed_their_ids_stand_and_it_is_tried_once(busy):
    busy.control("faults", {"kind": "status", "status": 403, "path": "/dpc/v1/projects"})
    done = busy("executions", "-e", "prod")
    assert done.returncode == 0
    assert done.stdout.count(busy.project_id("Finance")) == 4
    assert len([each for each in busy.requests() if each["path"] == "/dpc/v1/projects"]) == 1


def test_nothing_found_in_an_environment_that_is_not_there_names_the_nearest(maia):
    done = maia("executions", "--project", "Finance", "-e", "prdo")
    assert done.returncode == 1
    assert 'there is no environment "prdo" in Finance; nearest: prod, test' in done.stderr


# A bad command line ends before anything is asked


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["status"], "Missing argument 'RUN...'"),
        (["status", "nope"], "'nope' is not an id"),
        (["status", NOWHERE, NOWHERE[:-1]], "is not an id"),
        (["steps", "42"], "'42' is not an id"),
        (["cancel", "nightly", "--yes"], "'nightly' is not an id"),
        (["status", NOWHERE, "--project", ""], "it is empty"),
        (["executions", "--status", "BROKEN"], "'BROKEN' is not one of"),
        (["executions", "--trigger", "CRON"], "'CRON' is not one of"),
        (["executions", "--since", "yesterday"], "neither an instant"),
        (["executions", "--since", "7"], "neither an instant"),
        (["executions", "--since", "1h", "--until", "2h"], "--since is later than --until"),
        (["executions", "--match"], "--match goes with --pipeline"),
        (["executions", "--limit", "0"], "0 is not in the range"),
    ],
)
def test_bad_input_exits_2_before_any_request(maia, command, said):
    done = maia.inside(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert maia.control("log")["requests"] == []
