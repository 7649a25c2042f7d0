"""The service without its web and threads: poller, chores, account, SQLite and client, against a served simulator.

Both sides share one clock, which moves only when a scenario says so or the client waits for its budget.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from metrics.reading import assert_sound, samples

from exporter.access import api_settings
from exporter.config import parse
from exporter.core.model import FINISHED_STATUSES
from exporter.maia import MaiaClient
from exporter.simulator.reader import parse_script
from exporter.simulator.server import serve
from exporter.store.database import Database
from exporter.watch import House, Watch, build_notifier, build_watch
from exporter.web.health import Readiness

if TYPE_CHECKING:
    from pathlib import Path

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
INTERVAL = 30.0
ACTIVE = ("RUNNING", "CANCELLING")
FINISHED = tuple(status.value for status in FINISHED_STATUSES)

EMPTY = """
history = "0s"
requests_per_minute = 1000000
[[projects]]
name = "Finance"
environments = ["prod", "test"]
[[projects]]
name = "Marketing"
environments = ["prod"]
[[pipelines]]
project = "Finance"
environments = ["prod"]
name = "finance/load.orch.yaml"
duration = "10m"
spread = 0
[[pipelines]]
project = "Marketing"
name = "refresh.orch.yaml"
duration = "10m"
spread = 0
"""
"""Two projects whose pipelines start only when a scenario says so."""

LOAD, REFRESH = "finance/load.orch.yaml", "refresh.orch.yaml"


class FakeClock:
    """Moves when it is told, or when somebody waits on it."""

    def __init__(self, at: datetime = T0) -> None:
        self.at = at
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.pass_by(max(0.0, seconds))
        return stop.is_set()

    def pass_by(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


class Simulated:
    """A served account and its control endpoint."""

    def __init__(self, script: str, clock: FakeClock, *, seed: int = 1) -> None:
        self.clock, self.script = clock, script
        parsed = parse_script(script, source="scenario.toml") if "\n" in script else script
        self.served = serve(parsed, seed=seed, clock=clock.now)
        self._http = httpx.Client(base_url=self.served.control_url, trust_env=False)

    def close(self) -> None:
        self._http.close()
        self.served.stop()

    def control(self, path: str, body: Any = None, *, method: str = "") -> Any:
        method = method or ("GET" if body is None else "POST")
        answer = self._http.request(method, f"/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def run(self, pipeline: str = LOAD, **body: Any) -> str:
        """Make up a run; its id."""
        return self.control("runs", {"pipelineName": pipeline, **body})["pipelineExecutionId"]

    def end(self, run_id: str, status: str = "SUCCESS", **body: Any) -> None:
        self.control(f"runs/{run_id}/end", {"status": status, **body})

    def fault(self, kind: str, **settings: Any) -> None:
        self.control("faults", {"kind": kind, **settings})

    def mend(self) -> None:
        self.control("faults", method="DELETE")

    def calls(self) -> list[str]:
        """What the API was asked since the last look."""
        asked = [f"{each['method']} {each['path']}?{each['query']}" for each in self.control("log")["requests"]]
        self.control("log", method="DELETE")
        return asked

    def truth(self) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
        """All runs of every pipeline, by project, environment and pipeline name."""
        return {
            (each["projectName"], each["environmentName"], each["pipelineName"]): each["runs"]
            for each in self.control("truth")["pipelines"]
        }


class Service:
    """One life of the service; another one on the same folder is a restart."""

    def __init__(self, simulated: Simulated, folder: Path, **tables: Any) -> None:
        self.simulated, self.clock, self.folder, self.tables = simulated, simulated.clock, folder, tables
        account = {
            "api_url": simulated.served.api_url,
            "token_url": simulated.served.token_url,
            "client_id": "demo",
            "client_secret": "demo",
            "requests_per_minute": 1_000_000,
            **tables.get("maia", {}),
        }
        config = parse({**tables, "maia": account}, env={}, folder=folder)
        self.interval = config.poll.interval.total_seconds()
        self.database = Database.open(config.store.url.get_secret_value(), exclusive=True, now=self.clock.now())
        self.stop = threading.Event()
        self.readiness = Readiness()
        self.house = House.of(config, clock=self.clock, readiness=self.readiness)
        client = MaiaClient(api_settings(config.maia), clock=self.clock, stop=self.stop, watcher=self.house.oddities)
        self.watch: Watch = build_watch(
            config,
            self.house,
            client,
            relief=self.stop,
            database=self.database,
            notifier=build_notifier(self.house, self.database, config=lambda: config),
        )
        self.watch.desk.take_up()

    @property
    def state(self) -> Any:
        return self.watch.desk.account.state

    def poll(self) -> bool:
        return self.watch.poller.poll()

    def work(self) -> None:
        self.watch.chores.work(until=self.clock.monotonic() + self.interval)

    def rounds(self, number: int = 1, *, seconds: float | None = None) -> bool:
        """Polls with their chores, and the time between; whether the last was good."""
        good = False
        for _ in range(number):
            began = self.clock.monotonic()
            good = self.poll()
            self.work()
            left = (self.interval if seconds is None else seconds) - (self.clock.monotonic() - began)
            self.clock.pass_by(max(0.0, left))
        return good

    def end(self) -> None:
        self.watch.desk.client.close()
        self.database.close()

    def restarted(self, **tables: Any) -> Service:
        """A new life on the same record, perhaps with another config."""
        self.end()
        return Service(self.simulated, self.folder, **(tables or self.tables))

    def scrape(self) -> Scraped:
        text = self.house.exposition.page("", "").body.decode()
        assert_sound(text)

        return Scraped({(series.name, series.labels): number for series, number in samples(text).items()})


class Scraped:
    """The samples of one scrape."""

    def __init__(self, found: dict[tuple[str, frozenset[tuple[str, str]]], float]) -> None:
        self._found = found

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample of that name with at least these labels; None when there is none."""
        matching = self.each(name, **labels)
        assert len(matching) <= 1, f"{len(matching)} samples of {name} with {labels}"
        return matching[0] if matching else None

    def each(self, name: str, **labels: str) -> list[float]:
        return [n for (each, found), n in self._found.items() if each == name and labels.items() <= set(found)]

    def total(self, name: str, **labels: str) -> float:
        return sum(self.each(name, **labels))

    def pipelines(self) -> set[tuple[str, str, str]]:
        found = [dict(labels) for name, labels in self._found if name == "maia_pipeline_info"]
        return {(each["project_name"], each["environment_name"], each["pipeline_name"]) for each in found}

    def facts(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """What it says of pipelines."""
        return {key: number for key, number in self._found.items() if key[0].startswith("maia_pipeline_")}


def assert_shows_the_truth(service: Service, *, since: datetime = T0, counters: bool = True) -> Scraped:
    """Every pipeline with runs or published shows what is true in the account; counters hold what ended after `since`.

    Good only when nothing has happened in the account since the last poll.
    """
    scraped, truth = service.scrape(), service.simulated.truth()
    shown = scraped.pipelines()
    for names, runs in truth.items():
        if not runs and names not in shown:
            continue
        labels = dict(zip(("project_name", "environment_name", "pipeline_name"), names, strict=True))
        expected = _expected(runs, since, counters=counters)
        actual = {(name, *extra): scraped.value(name, **labels, **dict(extra)) for name, *extra in expected}
        assert actual == expected, names
    return scraped


def _expected(runs: list[dict[str, Any]], since: datetime, *, counters: bool) -> dict[Any, float | None]:
    known = [run for run in runs if run["status"] in (*ACTIVE, *FINISHED)]
    ended = sorted(
        (run for run in known if run["endedAt"]), key=lambda run: (run["endedAt"], run["pipelineExecutionId"])
    )
    going = Counter(run["status"] for run in known if not run["endedAt"])
    last = ended[-1] if ended else None
    successes = [run["endedAt"] for run in ended if run["status"] == "SUCCESS"]
    failures = [
        run
        for run in ended
        if run["status"] in ("FAILED", "FORBIDDEN") and (not successes or run["endedAt"] > successes[-1])
    ]
    counted = Counter(run["status"] for run in ended if _instant(run["endedAt"]) > since)
    expected: dict[Any, float | None] = {
        ("maia_pipeline_last_success_timestamp_seconds",): _instant(successes[-1]).timestamp() if successes else None,
        ("maia_pipeline_consecutive_failures",): len(failures),
    }
    for status in ACTIVE:
        expected["maia_pipeline_active_runs", ("status", status)] = going[status]
    for status in FINISHED:
        expected["maia_pipeline_last_run_status", ("status", status)] = int(bool(last) and last["status"] == status)
        if counters:
            expected["maia_pipeline_runs_finished_total", ("status", status)] = counted[status]
    return expected


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
