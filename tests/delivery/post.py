"""A post office for tests: an outbox, workers that are stepped by hand, a clock that moves only when told."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from exporter import apprise_channel
from exporter.core.backoff import pause_after
from exporter.core.delivery import TargetNews
from exporter.core.model import PipelineKey
from exporter.core.notice import Decision, Dispatch, EventKind, Fact, Notice, Suppression
from exporter.core.routing import Routing
from exporter.notifier.composer import Composer
from exporter.notifier.news import reporter
from exporter.notifier.office import Channel, Endpoint, Office, Settings
from exporter.notifier.worker import Worker
from exporter.store import leases, outbox, outbox_views
from exporter.store.database import Database
from exporter.store.errors import StoreError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMPOSER = Composer(zone=UTC, run_url="https://maia.example.com/runs/{run_id}")


def pipeline(name: str = "finance/nightly.orch.yaml") -> PipelineKey:
    return PipelineKey("p1", "prod", name)


def notice(
    run: str, *, event: EventKind = EventKind.FAILED, at: datetime = NOON, of: PipelineKey | None = None
) -> Notice:
    return Notice(
        event_id=f"{run}:{event}",
        event=event,
        occurred_at=at,
        detected_at=at,
        subject="nightly in prod (Finance)",
        facts=(Fact(label="status", value=str(event)), Fact(label="message", value="ORA-00942")),
        run_id=run,
        pipeline=of or pipeline(),
    )


def decision(told: Notice | str, *targets: str, suppressed: Suppression | None = None, at: datetime = NOON) -> Decision:
    about = notice(told, at=at) if isinstance(told, str) else told
    dispatches = tuple(Dispatch(target=target, why="route 1", suppressed=suppressed) for target in targets)
    return Decision(notice=about, dispatches=dispatches)


class FakeClock:
    """Moves when it is told, or when somebody waits on it."""

    def __init__(self, at: datetime = NOON) -> None:
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


class Heard:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.store_errors: list[StoreError] = []
        self.store_broke = threading.Event()
        self.works = 0
        self.standing = outbox_views.Standing()

    def store_works(self) -> None:
        self.works += 1

    def store_failed(self, error: StoreError) -> None:
        self.store_errors.append(error)
        self.store_broke.set()

    def deliveries_stand(self, standing: outbox_views.Standing) -> None:
        self.standing = standing


class Post:
    """Workers of one process on one outbox; `restart` is the next process."""

    def __init__(
        self, database: Database, urls: dict[str, str], *, per_minute: int = 1000, channel: Channel = apprise_channel
    ) -> None:
        self.database = database
        self.clock = FakeClock()
        self.heard = Heard()
        self.news: list[TargetNews] = []
        self.urls = urls
        self.per_minute = per_minute
        self.on_duty = True
        self._channel = channel
        self._boots = 0
        self.restart()

    def restart(self) -> int:
        """What was leased comes back; how many deliveries."""
        self._boots += 1
        self.office = self._office(f"boot {self._boots}")
        with self.database.transaction() as connection:
            for endpoint in self.settings.endpoints:
                leases.begin_target(connection, endpoint.name, fingerprint=endpoint.url, now=self.clock.now())
            recovered = leases.recover(connection, boot=self.office.boot, now=self.clock.now())
        self.workers = [Worker(endpoint, COMPOSER, self.office) for endpoint in self.settings.endpoints]
        return recovered

    @property
    def settings(self) -> Settings:
        return Settings(
            endpoints=tuple(
                Endpoint(name=name, url=url, per_minute=self.per_minute) for name, url in self.urls.items()
            ),
            composer=COMPOSER,
            max_age=timedelta(days=7),
            retention=timedelta(days=90),
        )

    def _office(self, boot: str) -> Office:
        report = reporter(lambda: Routing(targets=tuple(self.urls)))

        def heard(connection: Connection, news: TargetNews) -> None:
            self.news.append(news)
            report(connection, news)

        return Office(
            database=self.database,
            clock=self.clock,
            boot=boot,
            channel=self._channel,
            pause=lambda failures: pause_after(failures, uniform=lambda low, high: (low + high) / 2),
            report=heard,
            watcher=self.heard,
            on_duty=lambda: self.on_duty,
        )

    def record(self, *decisions: Decision, hold: timedelta = timedelta(0)) -> tuple[Decision, ...]:
        with self.database.transaction() as connection:
            return outbox.record(connection, decisions, now=self.clock.now(), hold=hold)

    def fail(self, *runs: str) -> None:
        """These runs have failed, and every target is to be told."""
        self.record(*(decision(run, *self.urls, at=self.clock.now()) for run in runs))

    def deliver(self) -> int:
        """Everything that may be sent at this instant; how many messages."""
        return sum(1 for worker in self.workers for _ in iter(worker.deliver_next, False))

    def pass_by(self, seconds: float, *, step: float = 1.0) -> int:
        """Let time pass, delivering all the while; how many messages were tried."""
        tried = self.deliver()
        for _ in range(int(seconds / step)):
            self.clock.pass_by(step)
            tried += self.deliver()
        return tried

    def rows(self, target: str = "") -> list[outbox_views.DeliveryRow]:
        """The deliveries, oldest first."""
        with self.database.reading() as connection:
            return list(outbox_views.listed(connection, target_name=target))[::-1]

    def states(self, target: str) -> list[str]:
        return [row.state.value for row in self.rows(target)]

    def standing(self) -> outbox_views.Standing:
        with self.database.reading() as connection:
            return outbox_views.standing(connection, list(self.urls))


def event_ids(texts: Iterable[str]) -> list[str]:
    """The event ids that messages carry, or the run ids of digests."""
    return [line.partition("event id: ")[2] for text in texts for line in text.splitlines() if "event id: " in line]
