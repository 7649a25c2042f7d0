"""Holds what a service has recorded and counted against what the simulator knows to be true.

Looks from outside: at the page that is scraped and at the rows of the record. Never while no service runs: whoever
opens a file after a kill repairs it, and that is what the service is to show.
"""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime
from itertools import count
from typing import NamedTuple

from e2e.processes import until
from prometheus_client.parser import text_string_to_metric_families

UNFINISHED = ("RUNNING", "CANCELLING")
ENDINGS = ("SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN")
TRIGGERS = ("SCHEDULE", "API", "DESIGNER", "SCHEDULE_RUN_NOW")


class Balance(NamedTuple):
    """What is missing and what is too much: by run and status in the record, by pipeline in the counters."""

    lost: Counter
    twice: Counter


EVEN = Balance(Counter(), Counter())


class Account:
    """The simulator's account, which lives only when it is told to, and what one record holds of it."""

    def __init__(self, simulator, file):
        self.simulator = simulator
        self.file = file
        self._numbers = count()
        self._pipelines = [
            {key: pipeline[key] for key in ("projectId", "environmentName", "pipelineName")}
            for pipeline in simulator.truth()["pipelines"]
            if pipeline["runs"]
        ]
        self._running = []

    def goes_on(self):
        """One run starts and ends between two looks, one starts and stays, and the one that stayed before ends."""
        number = next(self._numbers)
        place = self._pipelines[number % len(self._pipelines)]
        ending, trigger = ENDINGS[number % len(ENDINGS)], TRIGGERS[number % len(TRIGGERS)]
        self.simulator.tell("runs", **place, status=ending, trigger=trigger)
        for run in self._running:
            self.simulator.tell(f"runs/{run}/end", status=ENDINGS[number % 3])
        self._running = [self.simulator.tell("runs", **place, trigger=trigger)["pipelineExecutionId"]]

    def an_old_run_is_seen(self):
        """One that started before the recent runs, so that no list shows how it ends: that happens as life goes on."""
        run = self.simulator.tell("runs", **self._pipelines[0], ago="1h")["pipelineExecutionId"]
        until(lambda: self._ask(f"SELECT 1 FROM run WHERE run_id = '{run}'"), what="the old run is in the record")
        self._running.append(run)

    def is_watched_by(self, service):
        """Wait until the service has had its first good poll, and until what comes is clearly later."""
        service.up()
        begun = self._cursor_began()
        until(lambda: _seconds(self.simulator.truth()["now"]) > begun + 2, what="two seconds after the first poll")

    def balance(self, service):
        """What does not match once the service has read all there is and two whole polls have followed."""
        self._all_read_by(service)
        held, truth = self._held_by(service), self._true()
        return Balance(lost=truth - held, twice=held - truth)

    def _all_read_by(self, service):
        service.up()
        until(lambda: not self._cursor()["sweeps"], what="the past has been read", timeout=30)
        polls = service.sample("maia_exporter_polls_total")
        until(lambda: service.sample("maia_exporter_polls_total") >= polls + 2, what="two more polls")

    def _true(self):
        since = self._cursor_began()
        truth = self.simulator.truth()
        names = {project["id"]: project["name"] for project in truth["projects"]}
        facts = Counter()
        for run in truth["runs"]:
            place = (names[run["projectId"]], run["environmentName"], run["pipelineName"])
            facts["recorded", run["pipelineExecutionId"], run["status"]] += 1
            if _seconds(run["startedAt"]) >= since:
                facts["started", *place, run["trigger"]] += 1
            if run["status"] not in UNFINISHED and _seconds(run["finishedAt"]) >= since:
                facts["finished", *place, run["status"]] += 1
        return facts

    def _held_by(self, service):
        facts = Counter(("recorded", *row) for row in self._ask("SELECT run_id, status FROM run"))
        counters = {
            "maia_pipeline_runs_started_total": ("started", "trigger"),
            "maia_pipeline_runs_finished_total": ("finished", "status"),
        }
        for family in text_string_to_metric_families(service.get("/metrics").text):
            for sample in family.samples:
                if sample.name in counters:
                    what, label = counters[sample.name]
                    place = [sample.labels[f"{name}_name"] for name in ("project", "environment", "pipeline")]
                    facts[what, *place, sample.labels[label]] += int(sample.value)
        return facts

    def _cursor(self):
        return json.loads(self._ask("SELECT v FROM cursor WHERE k = 'reading'")[0][0])

    def _cursor_began(self):
        return _seconds(self._cursor()["scopes"][0]["since"])

    def _ask(self, query):
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query).fetchall()


def _seconds(instant):
    return datetime.fromisoformat(instant).timestamp()
