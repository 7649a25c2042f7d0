"""What reads the account by one config, put together, and what outlives it: a new config gets a new watch.

`build_watch` is one long straight function on purpose: it is the one place that shows how the parts fit together.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from exporter import __version__, apprise_channel
from exporter.account import Account
from exporter.alerting import Alerting
from exporter.chores import Chores
from exporter.core.backoff import pause_after
from exporter.desk import Desk, Follower
from exporter.discovery import Discovery
from exporter.limiting import Limiting
from exporter.metrics.exposition import Exposition
from exporter.metrics.limits import LimitMetrics
from exporter.metrics.notifications import NotificationMetrics
from exporter.metrics.self_metrics import SelfMetrics
from exporter.notifier.from_config import routing, settings
from exporter.notifier.news import reporter
from exporter.notifier.office import Office
from exporter.notifier.service import Notifier
from exporter.observer import Observer
from exporter.oddities import Oddities
from exporter.poller import Poller
from exporter.store.errors import NotLeading
from exporter.version import revision

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from exporter.clock import Clock
    from exporter.config.root import Config
    from exporter.maia.client import MaiaClient
    from exporter.store.database import Database
    from exporter.store.errors import StoreError
    from exporter.store.outbox_views import Standing
    from exporter.web.health import Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What lives as long as the process: what is told, by whatever watch there is, and served."""

    clock: Clock
    readiness: Readiness
    ours: SelfMetrics
    oddities: Oddities
    exposition: Exposition
    limit_metrics: LimitMetrics
    notification_metrics: NotificationMetrics

    @classmethod
    def of(cls, config: Config, *, clock: Clock, readiness: Readiness) -> Self:
        """Build it."""
        ours = SelfMetrics(
            version=__version__, revision=revision(), started_at=clock.now(), poll_interval=config.poll.interval
        )
        return cls(
            clock=clock,
            readiness=readiness,
            ours=ours,
            oddities=Oddities(ours),
            exposition=Exposition(ours, monotonic=clock.monotonic),
            limit_metrics=LimitMetrics(ours.registry),
            notification_metrics=NotificationMetrics(ours),
        )

    def leads(self) -> None:
        """From now on this process polls, sends, cancels, and shows what it finds."""
        self.readiness.leads()
        self.ours.leads()

    def stands_by(self) -> None:
        """From now on it does nothing of that."""
        self.readiness.stands_by()
        self.ours.follows()

    # What the notifier's workers say.

    def store_works(self) -> None:
        """The store was written."""
        self.readiness.store_works()

    def store_failed(self, error: StoreError) -> None:
        """The store could not be read or written."""
        if not isinstance(error, NotLeading):
            self.ours.store_failed()
            self.readiness.store_failed(str(error))

    def deliveries_stand(self, standing: Standing) -> None:
        """The counters and every target, as the store has them now."""
        self.notification_metrics.show(standing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What reads the account by one config: everything but the store's file, the web and the threads."""

    desk: Desk
    chores: Chores
    poller: Poller
    alerting: Alerting | None = None
    limiting: Limiting | None = None


def build_watch(
    config: Config,
    house: House,
    client: MaiaClient,
    *,
    relief: threading.Event,
    database: Database | None = None,
    notifier: Notifier | None = None,
    on_duty: Callable[[], bool] = lambda: True,
) -> Watch:
    """Put together what reads the account, on `database` or, for `once`, on none: then nobody is told anything.

    It is left after the poll in which `relief` is set; no run is asked to stop unless `on_duty`.
    """
    account = Account(database, house.exposition, config)
    alerting = limiting = None
    followers: tuple[Follower, ...] = ()
    if database is not None and notifier is not None:
        alerting = Alerting(
            config,
            routing=routing(config),
            database=database,
            client=client,
            clock=house.clock,
            wake=notifier.wake,
            polled_well=notifier.polled_well,
        )
        limiting = Limiting(
            config,
            database=database,
            client=client,
            clock=house.clock,
            alerting=alerting,
            metrics=house.limit_metrics,
            on_duty=on_duty,
        )
        account.limits_shown, account.expected = limiting.shown, alerting.success_within
        followers = (limiting, alerting)  # in this order: a run that limits have cancelled is told as CANCEL
    desk = Desk(
        client=client,
        account=account,
        observer=Observer(client, lookback=config.poll.lookback),
        discovery=Discovery(client, config.poll.scope),
        ours=house.ours,
        readiness=house.readiness,
        clock=house.clock,
        relief=relief,
        followers=followers,
    )
    chores = Chores(
        desk, discovery=config.poll.discovery, lookback=config.poll.lookback, retention=config.store.retention
    )
    poller = Poller(desk, chores, interval=config.poll.interval, lookback=config.poll.lookback)
    return Watch(desk=desk, chores=chores, poller=poller, alerting=alerting, limiting=limiting)


def build_notifier(
    house: House,
    database: Database,
    *,
    config: Callable[[], Config],
    on_duty: Callable[[], bool] = lambda: True,
) -> Notifier:
    """Put together what delivers by the `config` of the moment. Apprise is loaded only where there is a target."""
    office = Office(
        database=database,
        clock=house.clock,
        boot=uuid.uuid4().hex,
        channel=apprise_channel,
        pause=lambda failures: pause_after(failures, uniform=random.uniform),
        report=reporter(lambda: routing(config())),
        watcher=house,
        on_duty=on_duty,
    )
    return Notifier(office, settings(config()))
