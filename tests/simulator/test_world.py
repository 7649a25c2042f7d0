from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from exporter.simulator.reader import load_script, parse_script
from exporter.simulator.times import parse_instant
from exporter.simulator.world import World

from .asking import ONE_PIPELINE, T0, Account

HOUR = timedelta(hours=1)


def world(script="demo", *, seed=1, speed=60.0, epoch=T0):
    return World(load_script(script), seed=seed, speed=speed, epoch=epoch)


def facts(some_world):
    return [
        (run.run_id, run.pipeline.name, run.status, run.started_at, run.finished_at, run.message, run.trigger, run.user)
        for run in some_world.index.newest_first()
    ]


def test_the_same_script_seed_epoch_and_now_give_the_same_runs_however_time_was_cut():
    once, often = world(), world()
    once.advance(T0 + HOUR)
    for minute in range(0, 61, 7):
        often.advance(T0 + timedelta(minutes=minute))
    often.advance(T0 + HOUR)
    assert facts(once) == facts(often)
    assert len(facts(once)) > 3000


def test_another_seed_gives_another_account():
    first, second = world(), world(seed=2)
    assert not set(first.runs) & set(second.runs)
    assert not set(first.projects) & set(second.projects)


def test_a_simulator_started_again_later_continues_the_same_account():
    first, second = world("calm", speed=1), world("calm", speed=1, epoch=T0 + HOUR)
    first.advance(T0 + HOUR)
    shared = set(first.runs) & set(second.runs)
    assert len(shared) > 400
    for run_id in shared:
        assert first.runs[run_id].created_at == second.runs[run_id].created_at
        assert first.runs[run_id].status == second.runs[run_id].status


def test_time_that_runs_backwards_changes_nothing():
    some = world()
    some.advance(T0 + HOUR)
    before = facts(some)
    some.advance(T0)
    assert facts(some) == before


@pytest.mark.parametrize("speed", [1, 60, 0.5])
def test_speed_divides_durations_gaps_and_history_and_times_stay_on_the_clock(speed):
    script = parse_script(
        'history = "10h"\n[[projects]]\nname = "P"\n[[pipelines]]\nproject = "P"\nname = "p"\n'
        'every = "1h"\njitter = 0\nduration = "30m"\nspread = 0\n'
    )
    some = World(script, seed=1, speed=speed, epoch=T0)
    some.advance(T0 + 3 * HOUR / speed)
    runs = list(some.index.newest_first())
    assert len(runs) == 13
    starts = [run.created_at for run in runs]
    assert {(later - earlier).total_seconds() for later, earlier in pairwise(starts)} == {3600 / speed}
    assert min(starts) >= T0 - 10 * HOUR / speed
    done = [run.ends_at - run.created_at for run in runs if run.finished]
    assert {took.total_seconds() for took in done} == {1800 / speed}


def test_at_speed_0_nothing_starts_or_ends_but_what_is_asked_for_happens():
    account = Account("stuck", speed=0)
    before = account.control("truth")["pipelines"]
    account.wait(days=3)
    assert account.control("truth")["pipelines"] == before
    going = {run["pipelineExecutionId"] for run in account.runs(status="RUNNING")}
    assert len(going) >= 5
    run_id = account.execute("risk/obeys.orch.yaml").json()["pipelineExecutionId"]
    account.wait(days=1)
    assert account.status(run_id) == "RUNNING"
    account.cancel(run_id, force=True)
    account.wait(seconds=1)
    assert account.status(run_id) == "CANCELLED"


def test_at_high_speed_runs_still_have_a_length():
    some = world(speed=600)
    some.advance(T0 + timedelta(minutes=5))
    lengths = [run.ends_at - run.created_at for run in some.runs.values() if run.status == "SUCCESS"]
    assert min(lengths) > timedelta(0)


def test_the_lists_say_what_is_true():
    account = Account("demo", speed=60)
    account.wait(minutes=5)
    listed = {run["pipelineExecutionId"]: run for run in account.runs(limit=100)}
    true = [run for pipeline in account.control("truth")["pipelines"] for run in pipeline["runs"]]
    assert set(listed) == {run["pipelineExecutionId"] for run in true}
    for run in true:
        shown = listed[run["pipelineExecutionId"]]
        for key in (
            "status",
            "pipelineName",
            "environmentName",
            "projectId",
            "trigger",
            "user",
            "scheduleId",
            "message",
        ):
            assert shown.get(key) == run[key], key
        for key in ("startedAt", "finishedAt"):
            assert (shown.get(key) and parse_instant(shown[key])) == (run[key] and parse_instant(run[key])), key


def test_truth_since_an_instant_is_what_began_or_ended_since():
    account = Account(ONE_PIPELINE)
    first = account.execute().json()["pipelineExecutionId"]
    account.wait(minutes=5)
    second = account.execute().json()["pipelineExecutionId"]
    account.wait(minutes=6)

    def since(at):
        pipelines = account.ask("GET", "/control/truth", params={"since": at}).json()["pipelines"]
        return {run["pipelineExecutionId"] for pipeline in pipelines for run in pipeline["runs"]}

    assert since("2026-03-01T12:00:00Z") == {first, second}
    assert since("2026-03-01T12:05:00Z") == {first, second}
    assert since("2026-03-01T12:05:01Z") == {first}, "it ended at 12:10, the second goes on"
    assert since("2026-03-01T12:10:00Z") == {first}
    assert since("2026-03-01T12:10:01Z") == set()


def test_users_come_with_runs_by_hand_and_schedules_with_scheduled_runs_only():
    account = Account("failing")
    seen = set()
    for run in account.runs(limit=100, pipelineName="every-ending"):
        seen.add(run["trigger"])
        assert ("user" in run) == (run["trigger"] in ("DESIGNER", "SCHEDULE_RUN_NOW"))
        assert ("scheduleId" in run) == (run["trigger"] == "SCHEDULE")
        assert "finishedAt" in run
    assert seen == {"DESIGNER", "API", "SCHEDULE", "SCHEDULE_RUN_NOW", "UNKNOWN"}


def test_after_the_allow_list_changes_runs_are_forbidden_and_undated_until_it_changes_back():
    account = Account("forbidden")
    (old,) = account.runs(status="FORBIDDEN")
    assert "startedAt" not in old
    assert "finishedAt" not in old
    account.wait(minutes=4)
    assert len(account.runs(status="FORBIDDEN")) == 1
    account.wait(minutes=25)
    during = account.runs(status="FORBIDDEN", limit=100)
    assert len(during) > 5
    assert {run["environmentName"] for run in during} == {"prod"}
    account.wait(minutes=6)
    after = len(account.runs(status="FORBIDDEN", limit=100))
    account.wait(minutes=20)
    assert len(account.runs(status="FORBIDDEN", limit=100)) == after


def test_a_moment_of_the_script_comes_again():
    account = Account(
        ONE_PIPELINE
        + '[[runs]]\nproject = "Finance"\npipeline = "finance/nightly-load.orch.yaml"\nat = "-1h"\nevery = "30m"\n'
    )
    account.wait(minutes=29)
    assert [run["startedAt"][11:16] for run in account.runs()] == ["12:00", "11:30", "11:00"]
    account.wait(minutes=1)
    assert len(account.runs()) == 4


@pytest.mark.parametrize("flag", ["published", "disabled"])
def test_a_pipeline_that_is_unpublished_or_disabled_starts_no_more(flag):
    account = Account(ONE_PIPELINE + 'every = "1m"')
    account.wait(minutes=10)
    count = len(account.runs(limit=100))
    assert count >= 10
    account.control("changes", {"project": "Finance", flag: flag == "disabled"})
    account.wait(minutes=10)
    assert len(account.runs(limit=100)) == count
    published = account.get(f"/projects/{account.project_id}/published-pipelines")["results"]
    assert len(published) == (1 if flag == "disabled" else 0)


def test_runs_can_be_made_up_ended_and_forgotten(one):
    run = one.control("runs", {"pipelineName": "finance/nightly-load.orch.yaml", "ago": "9h"})
    run_id = run["pipelineExecutionId"]
    assert one.run(run_id)["startedAt"] == "2026-03-01T03:00:00Z"
    one.control(f"runs/{run_id}/end", {"status": "FAILED", "message": "disk full"})
    assert (one.run(run_id)["status"], one.run(run_id)["message"]) == ("FAILED", "disk full")
    assert one.ask("DELETE", f"/control/runs/{run_id}").status_code == 200
    assert one.runs() == []
    assert one.api("GET", f"/projects/{one.project_id}/pipeline-executions/{run_id}").status_code == 404


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        ({"status": "FORBIDDEN", "undated": True}, 201, "without times"),
        ({"status": "FAILED", "ago": "1h", "duration": "5m"}, 201, "it ended 55 minutes ago"),
        ({"duration": "5m", "outcome": "FAILED"}, 201, "it will fail"),
        ({"pipelineName": "finance/unheard-of.yaml"}, 201, "a run whose pipeline is not published"),
        ({"environmentName": "nowhere"}, 404, "unknown environment"),
        ({"status": "FAILED", "duration": "5m"}, 400, "ended in the future"),
        ({"ago": "1h", "duration": "5m"}, 400, "still running, though it ended"),
        ({"ago": "-1h"}, 400, "starts in the future"),
        ({"colour": "red"}, 400, "unknown field"),
    ],
)
def test_a_made_up_run_must_make_sense(one, body, code, why):
    body = {"pipelineName": "finance/nightly-load.orch.yaml", **body}
    assert one.ask("POST", "/control/runs", json=body).status_code == code, why


def test_a_made_up_run_ends_as_told(one):
    body = {"pipelineName": "finance/nightly-load.orch.yaml", "duration": "5m", "outcome": "FAILED", "message": "no"}
    run_id = one.control("runs", body)["pipelineExecutionId"]
    one.wait(minutes=5)
    assert (one.run(run_id)["status"], one.run(run_id)["message"]) == ("FAILED", "no")


def test_instants_before_1970_are_nobodys_concern_but_the_epoch_may_be_any_day():
    for epoch in (datetime(2001, 9, 9, tzinfo=UTC), datetime(2038, 1, 20, tzinfo=UTC)):
        assert world("calm", epoch=epoch).runs
