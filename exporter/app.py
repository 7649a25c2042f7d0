"""The composition root: builds everything from a config, starts it in order, stops it in reverse.

`build` is one long straight function on purpose: it is the one place that shows how the parts fit together.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter import __version__, apprise_channel
from exporter.access import api_settings
from exporter.account import Account
from exporter.alerting import Alerting
from exporter.chores import Chores
from exporter.clock import SystemClock
from exporter.core.backoff import pause_after
from exporter.desk import Desk, Follower
from exporter.discovery import Discovery
from exporter.limiting import Limiting
from exporter.logs import tell_repeats
from exporter.maia.client import MaiaClient
from exporter.metrics.exposition import Exposition
from exporter.metrics.notifications import NotificationMetrics
from exporter.metrics.self_metrics import SelfMetrics
from exporter.notifier.from_config import routing, settings
from exporter.notifier.news import reporter
from exporter.notifier.office import Office
from exporter.notifier.service import Notifier
from exporter.observer import Observer
from exporter.oddities import Oddities
from exporter.poller import Poller
from exporter.store.database import Database
from exporter.version import revision
from exporter.web.health import Readiness, Workers
from exporter.web.server import WebServer
from exporter.web.site import Site, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.clock import Clock
    from exporter.config.root import Config
    from exporter.store.errors import StoreError
    from exporter.store.outbox_views import Standing

log = logging.getLogger(__name__)

STOP_SECONDS = 8.0
"""How long a stop may take altogether; a hung request or send is left behind then."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What reads the account: everything but the store's file, the web and the threads."""

    desk: Desk
    chores: Chores
    poller: Poller
    exposition: Exposition
    notifier: Notifier | None
    limiting: Limiting | None


def build_watch(
    config: Config,
    *,
    clock: Clock,
    stop: threading.Event,
    database: Database | None,
    readiness: Readiness,
) -> Watch:
    """Put together what reads the account, on `database` or, for `once`, on none: then nobody is told anything."""
    ours = SelfMetrics(
        version=__version__, revision=revision(), started_at=clock.now(), poll_interval=config.poll.interval
    )
    exposition = Exposition(ours, monotonic=clock.monotonic)
    account = Account(database, exposition, config)
    client = MaiaClient(api_settings(config.maia), clock=clock, stop=stop, watcher=Oddities(ours))
    notifier = limiting = None
    followers: tuple[Follower, ...] = ()
    if database is not None:
        notifier = build_notifier(config, clock=clock, database=database, ours=ours, readiness=readiness)
        alerting = Alerting(
            config,
            routing=routing(config),
            database=database,
            client=client,
            clock=clock,
            wake=notifier.wake,
            polled_well=notifier.polled_well,
        )
        limiting = Limiting(
            config, database=database, client=client, clock=clock, alerting=alerting, registry=ours.registry
        )
        account.limits_shown, account.expected = limiting.shown, alerting.success_within
        followers = (limiting, alerting)  # in this order: a run that limits have cancelled is told as CANCEL
    desk = Desk(
        client=client,
        account=account,
        observer=Observer(client, lookback=config.poll.lookback),
        discovery=Discovery(client, config.poll.scope),
        ours=ours,
        readiness=readiness,
        clock=clock,
        stop=stop,
        followers=followers,
    )
    chores = Chores(
        desk, discovery=config.poll.discovery, lookback=config.poll.lookback, retention=config.store.retention
    )
    poller = Poller(desk, chores, interval=config.poll.interval, lookback=config.poll.lookback)
    return Watch(desk=desk, chores=chores, poller=poller, exposition=exposition, notifier=notifier, limiting=limiting)


def build_notifier(
    config: Config, *, clock: Clock, database: Database, ours: SelfMetrics, readiness: Readiness
) -> Notifier:
    """Put together what delivers. Apprise is loaded only where there is a target."""
    office = Office(
        database=database,
        clock=clock,
        boot=uuid.uuid4().hex,
        channel=apprise_channel,
        pause=lambda failures: pause_after(failures, uniform=random.uniform),
        report=reporter(routing(config)),
        watcher=_Deliveries(ours, readiness),
    )
    return Notifier(office, settings(config))


class _Deliveries:
    """What the notifier's workers say, to the metrics and to readiness."""

    def __init__(self, ours: SelfMetrics, readiness: Readiness) -> None:
        self._ours = ours
        self._readiness = readiness
        self._metrics = NotificationMetrics(ours)

    def store_works(self) -> None:
        self._readiness.store_works()

    def store_failed(self, error: StoreError) -> None:
        self._ours.store_failed()
        self._readiness.store_failed(str(error))

    def deliveries_stand(self, standing: Standing) -> None:
        self._metrics.show(standing)


class App:
    """The service: poller and web server on one record."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._stop = threading.Event()
        self._readiness = Readiness()
        self._workers = Workers()
        self._database = Database.open(config.store.url.get_secret_value(), exclusive=True, now=clock.now())
        self._watch = build_watch(
            config, clock=clock, stop=self._stop, database=self._database, readiness=self._readiness
        )
        self._watch.desk.account.load()
        if self._watch.limiting:
            self._watch.limiting.load(self._watch.desk.account.state)
            self._watch.desk.account.publish()
        if self._watch.desk.account.known:
            self._readiness.has_something_to_show()
        self._poller = threading.Thread(target=self._guarded(self._watch.poller.run), name="poller", daemon=True)
        site = Site(
            Sources(
                exposition=self._watch.exposition,
                readiness=self._readiness,
                workers=self._workers,
                version=__version__,
                now=clock.now,
                external_url=config.web.external_url,
            )
        )
        self._web = WebServer(config.web.listen_host, config.web.listen_port, app=site)
        self._host = config.web.listen_host

    def start(self) -> None:
        """Serve what the record holds, then poll. Raises CannotListen."""
        self._web.start()
        if notifier := self._watch.notifier:
            notifier.start()
            self._workers.register("notifier", lambda: notifier.alive)
        self._poller.start()
        self._workers.register("poller", self._poller.is_alive)
        self._workers.register("web", lambda: self._web.alive)
        log.info("serving", extra={"url": self.url, "version": __version__})

    @property
    def url(self) -> str:
        """Where the page is, on this machine."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "", "::") else self._host
        return f"http://[{host}]:{self._web.port}" if ":" in host else f"http://{host}:{self._web.port}"

    @property
    def alive(self) -> bool:
        """Whether all workers live."""
        return self._workers.verdict().good

    def stop(self) -> bool:
        """Ask all workers to end and wait a while; whether they have."""
        self._stop.set()
        self._poller.join(STOP_SECONDS / 2)
        delivered = self._watch.notifier is None or self._watch.notifier.stop(STOP_SECONDS / 4)
        self._web.stop(STOP_SECONDS / 4)
        if self._poller.is_alive() or not delivered:
            return False
        self._watch.desk.client.close()
        self._database.close()
        return True

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                work()
            except Exception:  # the end of a thread's road: whoever looks at `alive` ends the process
                log.exception(
                    "A worker has died; this process ends.", extra={"worker": threading.current_thread().name}
                )

        return guarded


def hold_signals() -> None:
    """Keep signals for `serve`. Before any thread starts: threads inherit what is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def serve(app: App, *, also: Callable[[], bool] = lambda: True) -> int:
    """Run a started app until a signal comes or a worker dies; the exit code. `also` says whether to go on.

    A worker that hangs in somebody else's answer does not hold up the end: it is left behind with the process.
    """
    code = 0
    for caught in _signals():
        tell_repeats()
        if caught in (signal.SIGTERM, signal.SIGINT):
            log.info("stopping", extra={"signal": signal.Signals(caught).name})
            break
        if caught == signal.SIGHUP:
            log.warning("This version reads its config at the start only; restart it.")
        if not app.alive or not also():
            code = 1
            break
    if not app.stop():
        log.warning("A request was still under way; leaving it behind.")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _signals() -> Iterator[int]:
    """What comes, and 0 every half second: a handler that wakes a waiting main thread can deadlock, this cannot."""
    while True:
        caught = signal.sigtimedwait(SIGNALS, _LOOK_SECONDS)
        yield caught.si_signo if caught else 0
