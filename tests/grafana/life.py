"""Two hours of two accounts, written as a scrape every minute would have found them, for promtool to make blocks of.

The same simulator, client, tracker, record and renderer as ever, on a clock that runs as fast as it is told. Account a
has two replicas: after an hour the second takes over on the shared record, and one scrape sees both lead. Account b has
the same projects and pipelines, so that whatever merges accounts shows; its exporter is away for two minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from scenarios.service import T0, FakeClock, Service, Simulated

from exporter.core.delivery import Outcome, OutcomeClass, Room
from exporter.metrics.exposition import Exposition
from exporter.metrics.self_metrics import SelfMetrics
from exporter.notifier.composer import Composer
from exporter.notifier.office import Endpoint, Office
from exporter.notifier.worker import Worker
from exporter.store import leases, outbox_views

LENGTH = timedelta(hours=2)
STEP = 60.0
ROUNDS = int(LENGTH.total_seconds() / STEP)
END = T0 + LENGTH
CHANGE = 60  # the last minute of account a's first leader
BAD = ("FAILED", "FORBIDDEN")

TABLES: dict[str, Any] = {
    "poll": {"interval": "1m", "lookback": "2d"},
    "metrics": {"duration_buckets": [60, 300, 900, 3600]},
    "targets": [{"name": name, "url": f"json://127.0.0.1:1/{name}"} for name in ("oncall", "archive")],
    "expectations": [{"pipelines": ["finance/*"], "environments": ["prod"], "success_within": "50m"}],
    "cancel": {"max_per_hour": 1},
    "limits": [
        {"name": "revaluing", "environments": ["prod"], "pipelines": ["revalue-*"], "warn_after": "20m",
         "cancel_after": "30m", "mode": "cancel"},
        {"name": "syncing", "pipelines": ["salesforce-*"], "warn_after": "5m", "mode": "warn"},
        {"name": "importing", "pipelines": ["invoices-*"], "warn_after": "6m", "mode": "warn"},
        {"name": "of old", "environments": ["prod"], "pipelines": ["renamed-*"], "cancel_after": "1h"},
    ],
}  # fmt: skip


COMPOSER = Composer(zone=UTC, run_url="https://maia.example/{run_id}", external_url="")


class Post:
    """A channel: what goes to `archive` fails from minute 40 to 70, the first of it for good; the rest arrives."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._refused = False

    def room(self, _: str) -> Room:
        return Room(title=100, body=2000)

    def send(self, url: str, **_: Any) -> Outcome:
        if url == "archive" and 40 <= minute(self._clock.at) < 70:
            if not self._refused:
                self._refused = True
                return Outcome(OutcomeClass.POISON, "made up")
            return Outcome(OutcomeClass.UNAVAILABLE, "made up")
        return Outcome(OutcomeClass.SENT)


def minute(at: datetime) -> float:
    return (at - T0).total_seconds() / 60


class Life:
    """One account, one process on it at a time, and what scrapes of it found."""

    def __init__(self, account: str, folder: Path, *, seed: int) -> None:
        self.account = account
        self.clock = FakeClock()
        self.simulated = Simulated("demo", self.clock, seed=seed)
        folder.mkdir()
        self.service = Service(self.simulated, folder, **TABLES)
        self._post = Post(self.clock)
        self._enter()

    def _enter(self) -> None:
        """What is done for deliveries when a service starts, without threads."""
        house, database = self.service.house, self.service.database
        office = Office(
            database=database,
            clock=self.clock,
            boot=f"at {self.clock.at}",
            channel=self._post,
            pause=lambda _: timedelta(minutes=1),
            report=lambda *_: None,
            watcher=house,
        )
        self._workers = [
            Worker(Endpoint(name=name, url=name, per_minute=20), COMPOSER, office) for name in ("oncall", "archive")
        ]
        with database.transaction() as connection:
            for worker in self._workers:
                leases.begin_target(connection, worker.endpoint.name, fingerprint="", now=self.clock.at)

    def restart(self) -> None:
        self.service = self.service.restarted()
        self._enter()

    def live(self) -> None:
        """A minute."""
        self.service.poll()
        self.service.work()
        for worker in self._workers:
            while worker.deliver_next():
                pass
        with self.service.database.reading() as connection:
            names = [worker.endpoint.name for worker in self._workers]
            self.service.house.deliveries_stand(outbox_views.standing(connection, names))

    def page(self) -> str:
        return self.service.house.exposition.page("", "").body.decode()

    def truth(self) -> list[dict[str, Any]]:
        """Every run, with the names of what ran."""
        names = ("projectName", "environmentName", "pipelineName")
        pipelines = self.simulated.control("truth")["pipelines"]
        return [{**run, **{name: each[name] for name in names}} for each in pipelines for run in each["runs"]]

    def end(self) -> None:
        self.service.end()
        self.simulated.close()


class Truth(NamedTuple):
    """What is true of an account at the end."""

    finished: Counter[tuple[str, str]]  # by project and status, in the two hours
    broken: int
    running: int
    statuses: dict[tuple[str, str, str], set[str]]  # by project, environment and pipeline: of all finished runs


def truth_of(life: Life) -> Truth:
    finished: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    statuses: dict[tuple[str, str, str], set[str]] = {}
    running = 0
    for run in life.truth():
        key = (run["projectName"], run["environmentName"], run["pipelineName"])
        if not run["endedAt"]:
            running += 1
            continue
        statuses.setdefault(key, set()).add(run["status"])
        if datetime.fromisoformat(run["endedAt"]) > T0:
            finished[run["projectName"], run["status"]] += 1
        last[key] = max(last.get(key, ("", "", "")), (run["endedAt"], run["pipelineExecutionId"], run["status"]))
    return Truth(finished, sum(status in BAD for _, _, status in last.values()), running, statuses)


def standby() -> str:
    """The page of a replica that has never led."""
    ours = SelfMetrics(version="0.1.0", started_at=T0, poll_interval=timedelta(seconds=STEP))
    ours.follows()
    return Exposition(ours, monotonic=lambda: 0.0).page("", "").body.decode()


def lived(folder: Path, into: Path) -> dict[str, Truth]:
    """Live both accounts and write what was scraped; what is true of each at the end."""
    with ExitStack() as stack, into.open("w") as file:
        a, b = (Life(name, folder / name, seed=seed) for name, seed in (("a", 1), ("b", 2)))
        for life in (a, b):
            stack.callback(life.end)
        standing_by = standby()
        retired: Exposition | None = None  # of the replica that led first
        for number in range(ROUNDS + 1):
            happen(a, b, number)
            pages = [("a", f"a-{1 if number <= CHANGE else 2}:9986", a), ("b", "b-1:9986", b)]
            away = 100 <= number < 102  # the exporter of b
            if number == CHANGE + 1:  # the last scrape of the old leader meets the first of the new one
                file.writelines(scraped(a.page(), a.clock.at, account="a", instance="a-1:9986"))
                a.service.house.stands_by()
                retired = a.service.house.exposition
                a.restart()
            elif number == 102:
                b.restart()
            for name, instance, life in pages:
                if life is b and away:
                    file.write(sample_up(b.clock.at, 0, account=name, instance=instance))
                else:
                    life.live()
                    file.writelines(scraped(life.page(), life.clock.at, account=name, instance=instance))
            if number != CHANGE + 1:
                other = f"a-{2 if number <= CHANGE else 1}:9986"
                page = standing_by if retired is None else retired.page("", "").body.decode()
                file.writelines(scraped(page, a.clock.at, account="a", instance=other))
            for life in (a, b):
                life.clock.at = T0 + timedelta(seconds=STEP) * (number + 1)
                life.clock.seconds += STEP
        file.write("# EOF\n")
        for life in (a, b):
            life.clock.at = END
        return {life.account: truth_of(life) for life in (a, b)}


def happen(a: Life, b: Life, number: int) -> None:
    """What the script of the account does not know: outages, a run that somebody cancels and that does not end."""
    listing = "/dpc/v1/pipeline-executions"
    events: dict[int, Callable[[], Any]] = {
        10: lambda: a.simulated.run(CLOSE, status="CANCELLING"),
        50: lambda: b.simulated.fault("status", status=401, path="/oauth/dpc/token"),
        51: lambda: b.simulated.control("token/revoke", {}),
        60: b.simulated.mend,
        75: lambda: a.simulated.fault("status", status=503, path=listing),
        85: a.simulated.mend,
        90: lambda: [a.simulated.run("finance/revalue-portfolio.orch.yaml", ago="35m") for _ in range(2)],
    }
    events.get(number, lambda: None)()


CLOSE = "finance/month-end-close.orch.yaml"


def scraped(page: str, at: datetime, *, account: str, instance: str) -> Iterator[str]:
    """A page's samples as Prometheus would keep them, and `up`."""
    target = f'account="{account}",instance="{instance}",job="maia"'
    when = f"{at.timestamp():.0f}"
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        name, _, number = line.rpartition(" ")
        name, brace, labels = name.partition("{")
        labels = f"{target},{labels}" if brace else f"{target}}}"
        yield f"{name}{{{labels} {number} {when}\n"
    yield sample_up(at, 1, account=account, instance=instance)


def sample_up(at: datetime, value: int, *, account: str, instance: str) -> str:
    return f'up{{account="{account}",instance="{instance}",job="maia"}} {value} {at.timestamp():.0f}\n'
