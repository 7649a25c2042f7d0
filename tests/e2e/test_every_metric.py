"""Every metric, with every label value of a closed set, moves off the first value that is shown, or says why not."""

import signal
import sqlite3
from datetime import timedelta
from itertools import product

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.clock import SystemClock
from exporter.metrics.catalogue import METRICS, Kind

from .processes import until

pytestmark = pytest.mark.e2e

ACTIVE = ("RUNNING", "CANCELLING", "UNKNOWN")
FINISHED = ("SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN", "UNKNOWN")
TRIGGERS = ("DESIGNER", "API", "SCHEDULE", "SCHEDULE_RUN_NOW", "UNKNOWN")

CLOSED = {
    ("maia_pipeline_active_runs", "status"): ACTIVE,
    ("maia_pipeline_last_run_status", "status"): FINISHED,
    ("maia_pipeline_runs_finished_total", "status"): FINISHED,
    ("maia_pipeline_run_seconds_total", "status"): FINISHED,
    ("maia_pipeline_runs_started_total", "trigger"): TRIGGERS,
    ("maia_exporter_poll_failures_total", "cause"): (
        *("auth", "forbidden", "rate_limited", "timeout", "network", "server", "decode", "store"),
    ),
    ("maia_exporter_api_throttled_seconds_total", "cause"): ("budget", "retry_after"),
    ("maia_exporter_pruned_pipelines_total", "reason"): ("deleted", "idle", "filtered"),
    ("maia_notifications_suppressed_total", "reason"): ("baseline",),
}

STAYS = {
    ("maia_exporter_build_info",): "what is running does not change while it runs",
    ("maia_exporter_is_leader",): "one process on SQLite leads for ever",
    ("maia_exporter_config_last_reload_successful",): "the config is read at the start only",
}

ELSEWHERE = {
    "maia_notification": "tests/delivery moves what is about deliveries",
    "maia_cancel": "tests/limits moves what is about limits",
    "maia_limit": "tests/limits",
    "maia_pipeline_cancel": "tests/limits",
    "maia_pipeline_run_time_limit": "tests/limits",
    "maia_pipeline_active_runs_over_limit": "tests/limits",
    "maia_pipeline_runs_over_limit": "tests/limits",
    "maia_pipeline_success_within": "tests/delivery",
}

POLL = """
lookback = "8s"
discovery = "1s"
"""
EXTRA = """
[store]
retention = "16s"
[metrics]
duration_buckets = [1, 10]
"""
PIPELINE = "finance/often-fails.orch.yaml"


class Watcher:
    """Remembers the first value of every sample, and which have had another one since."""

    def __init__(self):
        self.first = {}
        self.moved = set()

    def look(self, service):
        page = service.get("/metrics").text
        begun = not self.first
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                if key not in self.first and (begun or sample.name.endswith(("_total", "_bucket", "_count", "_sum"))):
                    self.first[key] = sample.value if begun else 0.0
                if key not in self.first or self.first[key] != sample.value:
                    closed = {label: value for label, value in sample.labels.items() if (sample.name, label) in CLOSED}
                    self.moved.add((sample.name, *sorted(closed.values())))


def wanted():
    for metric in METRICS:
        if metric.name.startswith(tuple(ELSEWHERE)) and metric.name != "maia_notifications_suppressed_total":
            continue
        name = f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name
        closed = [CLOSED[name, label] for label in metric.labels if (name, label) in CLOSED]
        yield from ((name, *values) for values in product(*closed))


def test_every_metric_and_every_label_value_moves(stage):
    simulator = stage.simulator(script="failing", speed=0)
    watcher = Watcher()
    service = stage.service(api=simulator.url, poll=POLL, extra=EXTRA)
    service.ready()

    def seen(name, **labels):
        """Wait until one such sample is above 0, watching all of them."""

        def there():
            found = max(service.samples(name, **labels), default=0) > 0
            watcher.look(service)  # after it, so that what was found is seen
            return found

        until(there, timeout=30, every=0.2, what=f"{name} {labels}")

    clock = SystemClock()
    watcher.look(service)
    for status in ("RUNNING", "CANCELLING"):
        simulator.tell("runs", pipelineName=f"active/{status}.orch.yaml", status=status)
        seen("maia_pipeline_active_runs", status=status)
    simulator.tell("runs", pipelineName=PIPELINE, status="PAUSED", unfinished=True)
    seen("maia_pipeline_active_runs", status="UNKNOWN")
    for status, trigger in zip(FINISHED, (*TRIGGERS, "SCHEDULE"), strict=True):
        times = {"ago": "2s", "duration": "1s"} if status != "SUCCESS" else {"ago": "1s", "duration": "1s"}
        simulator.tell("runs", pipelineName=PIPELINE, status=status, trigger=trigger, **times)
        seen("maia_pipeline_runs_finished_total", status=status)
        seen("maia_pipeline_runs_started_total", trigger=trigger)
    for status in FINISHED:
        simulator.tell("runs", pipelineName=f"last/{status}.orch.yaml", status=status, ago="1s", duration="1s")
        seen("maia_pipeline_last_run_status", pipeline_name=f"last/{status}.orch.yaml", status=status)

    causes = {
        "server": ("status", {"status": 503, "path": "/dpc/v1/pipeline-executions"}),
        "forbidden": ("status", {"status": 403, "path": "/dpc/v1/pipeline-executions"}),
        "decode": ("html", {"path": "/dpc/v1/pipeline-executions"}),
        "network": ("reset", {"path": "/dpc/v1/pipeline-executions"}),
    }
    for cause, (kind, scope) in causes.items():
        simulator.fault(kind, **scope)
        seen("maia_exporter_poll_failures_total", cause=cause)
        simulator.calm_down()
    simulator.fault("status", status=401, path="/oauth/dpc/token")
    simulator.tell("token/revoke")
    seen("maia_exporter_poll_failures_total", cause="auth")
    simulator.calm_down()
    service.up()
    with sqlite3.connect(stage.folder / "maia-exporter.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        seen("maia_exporter_poll_failures_total", cause="store")
        seen("maia_exporter_store_failures_total")
        assert service.get("/-/ready").status_code == 503
        other.execute("ROLLBACK")
    until(lambda: service.get("/-/ready").status_code == 200, what="ready again")

    simulator.fault("malformed")
    seen("maia_exporter_rejected_records_total")
    simulator.calm_down()
    seen("maia_exporter_unrecognised_values_total", field="status")
    simulator.tell("clock", offset="90s")
    until(lambda: (service.sample("maia_exporter_clock_skew_seconds") or 0) > 60)
    watcher.look(service)
    simulator.tell("clock", offset="0s")
    simulator.tell("changes", project="Finance", forbidden=True)
    until(lambda: service.sample("maia_project_up", project_name="Finance") == 0)
    watcher.look(service)
    simulator.tell("changes", project="Finance", forbidden=False)
    gone = "finance/gone.orch.yaml"
    simulator.tell("pipelines", project="Finance", environment="prod", name=gone)
    until(lambda: service.samples("maia_pipeline_consecutive_failures", pipeline_name=gone), what="it is listed")
    simulator.tell("changes", project="Finance", pipeline=gone, published=False)
    seen("maia_exporter_pruned_pipelines_total", reason="deleted")
    seen("maia_exporter_pruned_pipelines_total", reason="idle")

    simulator.fault("rate_limited", path="/dpc/v1/pipeline-executions", retry_after=1, count=1)
    seen("maia_exporter_api_throttled_seconds_total", cause="retry_after")
    service.end(signal.SIGKILL)
    down_since = clock.now()
    narrow = POLL + 'exclude_pipelines = ["*every-ending*"]\n'
    until(lambda: clock.now() - down_since > timedelta(seconds=9), what="longer down than lookback")
    service = stage.service(
        api=simulator.url,
        port=service.port,
        poll=narrow,
        extra=EXTRA.replace("[metrics]", "[metrics]\nmax_pipelines = 1"),
    )
    service.ready()
    seen("maia_exporter_possibly_missed_runs_total")
    seen("maia_exporter_pruned_pipelines_total", reason="filtered")
    seen("maia_exporter_pipelines_over_cap")
    simulator.tell("runs", pipelineName="finance/every-ending.orch.yaml", status="FAILED", ago="5s", duration="1s")
    service.end()
    service = stage.service(
        api=simulator.url, port=service.port, poll=POLL, extra=EXTRA, per_minute=60, patience="2s", interval="2s"
    )
    service.ready()
    seen("maia_exporter_api_throttled_seconds_total", cause="budget")
    simulator.fault("hang", path="/dpc/v1/pipeline-executions")
    seen("maia_exporter_poll_failures_total", cause="timeout")
    simulator.calm_down()
    simulator.fault("rate_limited", path="/dpc/v1/pipeline-executions", retry_after=600)
    seen("maia_exporter_poll_failures_total", cause="rate_limited")

    stuck = {row for row in wanted() if row not in watcher.moved and row not in STAYS}
    assert not stuck, sorted(stuck)
    assert not {row for row in STAYS if row in watcher.moved}
