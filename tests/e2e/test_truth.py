"""A real Prometheus that scrapes the service shows what the simulator knows to be true, for every pipeline."""

import signal
from datetime import datetime
from pathlib import Path

import pytest

from .processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.prometheus]

LIVELY = Path(__file__).with_name("lively.toml")
UNFINISHED = ("RUNNING", "CANCELLING")


def seconds(instant):
    return datetime.fromisoformat(instant).timestamp()


def finish_order(run):
    return (seconds(run.get("finishedAt") or run["startedAt"]), run["pipelineExecutionId"])


def expected(truth, *, since):
    """What PromQL must answer, by query, by (project, environment, pipeline, and the metric's own label)."""
    names = {project["id"]: project["name"] for project in truth["projects"]}
    answers = {query: {} for query in QUERIES}
    for pipeline in truth["pipelines"]:
        key = (names[pipeline["projectId"]], pipeline["environmentName"], pipeline["pipelineName"])
        runs = pipeline["runs"]
        finished = sorted((run for run in runs if run["status"] not in UNFINISHED), key=finish_order)
        news = [run for run in finished if finish_order(run)[0] >= since]
        for status in ("RUNNING", "CANCELLING"):
            answers["active"][*key, status] = sum(run["status"] == status for run in runs)
        for status in ("SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN"):
            ended = [run for run in news if run["status"] == status]
            answers["finished"][*key, status] = len(ended)
            answers["seconds"][*key, status] = sum(
                seconds(run["finishedAt"]) - seconds(run["startedAt"]) for run in ended
            )
        for trigger in ("API", "DESIGNER", "SCHEDULE", "SCHEDULE_RUN_NOW", "UNKNOWN"):
            started = [run for run in runs if run["trigger"] == trigger and seconds(run["startedAt"]) >= since]
            answers["started"][*key, trigger] = len(started)
        good = [seconds(run["finishedAt"]) for run in finished if run["status"] == "SUCCESS"]
        if good:
            answers["last success"][key] = max(good)
        if finished:
            answers["last status"][*key, finished[-1]["status"]] = 1
        streak = 0
        for run in reversed(finished):
            if run["status"] == "SUCCESS":
                break
            streak += run["status"] in ("FAILED", "FORBIDDEN")
        answers["failures in a row"][key] = streak
    return answers


QUERIES = {
    "active": ('maia_pipeline_active_runs{status!="UNKNOWN"}', "status"),
    "finished": ('maia_pipeline_runs_finished_total{status!="UNKNOWN"}', "status"),
    "seconds": ('maia_pipeline_run_seconds_total{status!="UNKNOWN"}', "status"),
    "started": ("maia_pipeline_runs_started_total", "trigger"),
    "last success": ("maia_pipeline_last_success_timestamp_seconds", None),
    "last status": ("maia_pipeline_last_run_status == 1", "status"),
    "failures in a row": ("maia_pipeline_consecutive_failures", None),
}


def answered(prometheus):
    answers = {}
    for name, (promql, label) in QUERIES.items():
        answers[name] = {}
        for labels, value in prometheus.query(promql).items():
            labels = dict(labels)
            key = (labels["project_name"], labels["environment_name"], labels["pipeline_name"])
            answers[name][(*key, labels[label]) if label else key] = value
    return answers


def settled(simulator, prometheus, service):
    """Truth and answers of one instant at which nothing moved for two polls and two scrapes."""
    before = simulator.truth()
    polls = service.sample("maia_exporter_polls_total")
    until(lambda: service.sample("maia_exporter_polls_total") >= polls + 2, what="two more polls")
    scraped = prometheus.query("timestamp(maia_up)")
    until(lambda: min(prometheus.query("timestamp(maia_up)").values()) >= max(scraped.values()) + 2)
    answers, after = answered(prometheus), simulator.truth()
    return (after, answers) if before["runs"] == after["runs"] else None


def test_promql_equals_the_truth_after_an_hour_of_life_with_three_restarts(stage):
    simulator = stage.simulator(script=LIVELY, speed=60)
    first = stage.service(api=simulator.url)
    prometheus = stage.prometheus(target=f"127.0.0.1:{first.port}")
    first.up()
    # What is there when runs are first listed is history; signing in comes before that and takes its time.
    since = next(seconds(each["at"]) for each in simulator.log_of_requests() if "executions" in each["path"])

    def lived(minutes):
        began = since + minutes * 60 / 60
        return lambda: seconds(simulator.truth()["now"]) > began

    until(lived(10), timeout=30)
    assert first.end(signal.SIGTERM) == 0
    second = stage.service(api=simulator.url, port=first.port)
    second.up()
    until(lived(25), timeout=40)
    second.end(signal.SIGKILL)
    until(lived(30), timeout=40)
    third = stage.service(api=simulator.url, port=first.port)
    third.up()
    simulator.fault("hang", path="/dpc/v1/pipeline-executions", count=1)
    until(simulator.struck, what="a poll hangs")
    third.end(signal.SIGKILL)
    simulator.calm_down()
    last = stage.service(api=simulator.url, port=first.port)
    last.up()
    until(lived(60), timeout=60)

    truth, answers = until(lambda: settled(simulator, prometheus, last), timeout=60)

    assert answers == {name: pytest.approx(rows, abs=0.01) for name, rows in expected(truth, since=since).items()}
