"""The composition root: builds everything from a config, starts it in order, stops it in reverse."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from exporter import __version__
from exporter.archive import Archive
from exporter.clock import SystemClock
from exporter.duty import Duty
from exporter.leadership import Leadership, Replica, SoleLeader
from exporter.logs import tell_repeats
from exporter.reloading import Reloader
from exporter.signals import arrivals
from exporter.store.database import Database
from exporter.watch import House
from exporter.web.health import Readiness, Workers
from exporter.web.page.sources import PageSources
from exporter.web.revealing import revealing
from exporter.web.server import WebServer
from exporter.web.site import Site, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.clock import Clock
    from exporter.config.root import Config
    from exporter.config.sections import WebSettings
    from exporter.config_file import ConfigFile

log = logging.getLogger(__name__)

STOP_SECONDS = 8.0
"""How long a stop may take altogether; a hung request or send is left behind then."""


class App:
    """The service: who watches the account, and the web server, on one record.

    Where it is told which file its config comes from, it follows what is written there.
    """

    def __init__(self, config: Config, *, file: ConfigFile | None = None, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        readiness = Readiness()
        self._workers = Workers()
        self._database = Database.open(config.store.url.get_secret_value(), exclusive=True, now=clock.now())
        house = House.of(config, clock=clock, readiness=readiness)
        self._leadership: Leadership
        if self._database.is_ours_alone:
            self._leadership = SoleLeader(self._database)
        else:
            self._leadership = Replica(self._database, house, clock=clock)
        self._duty = Duty(config, house, self._leadership)
        self._duty.prepare()
        self._poller = threading.Thread(target=self._guarded(self._duty.run), name="poller", daemon=True)
        self._reloader = None if file is None else Reloader(file, self._duty, house.ours, clock=clock)
        site = Site(
            Sources(
                exposition=house.exposition,
                readiness=readiness,
                workers=self._workers,
                version=__version__,
                now=clock.now,
                external_url=config.web.external_url,
                page=self._page(clock),
            )
        )
        self._web = build_web(config.web, site)
        self._host = config.web.listen_host

    def _page(self, clock: Clock) -> PageSources:
        """What the page shows beyond the metrics."""
        duty = self._duty
        archive = Archive(self._database, targets=lambda: [each.name for each in duty.config.targets], clock=clock)
        return PageSources(
            reveals=revealing(duty.config.web),
            limits=lambda: duty.limits,
            around=archive.around,
            stories=archive.stories,
            config=self._effective_config,
            run_url=lambda: duty.config.maia.run_url,
        )

    def _effective_config(self) -> Mapping[str, Any]:
        return self._duty.config.effective()

    def start(self) -> None:
        """Serve what the record holds, then poll. Raises CannotListen."""
        self._web.start()
        self._leadership.start()
        self._poller.start()
        for name, alive in (
            ("poller", self._poller.is_alive),
            ("notifier", lambda: self._duty.delivers),
            ("leader", lambda: self._leadership.alive),
            ("web", lambda: self._web.alive),
        ):
            self._workers.register(name, alive)
        if self._reloader is not None:
            self._reloader.start()
            self._workers.register("config", lambda: self._reloader is None or self._reloader.alive)
        log.info("serving", extra={"url": self.url, "version": __version__})

    def reload(self) -> None:
        """Read the config again, whether it looks changed or not."""
        if self._reloader is None:
            log.warning("This config comes from no file: there is nothing to read again.")
        else:
            self._reloader.ask()

    @property
    def url(self) -> str:
        """Where the page is, on this machine."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "", "::") else self._host
        scheme = "https" if self._web.has_tls else "http"
        return f"{scheme}://[{host}]:{self._web.port}" if ":" in host else f"{scheme}://{host}:{self._web.port}"

    @property
    def alive(self) -> bool:
        """Whether all workers live."""
        return self._workers.verdict().good

    def stop(self) -> bool:
        """Ask all workers to end and wait a while; whether they have."""
        if self._reloader is not None:
            self._reloader.stop()
        self._leadership.retire()
        self._duty.stop()
        self._poller.join(self._leadership.patience)
        self._leadership.stop(STOP_SECONDS / 8)
        self._poller.join(STOP_SECONDS / 8)
        self._web.stop(STOP_SECONDS / 4)
        if self._poller.is_alive() or not self._duty.ended:
            return False
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


def build_web(web: WebSettings, site: Site) -> WebServer:
    """Put the web config, where there is one, before what we serve. Raises ConfigError."""
    if not web.config_file:
        return WebServer(web.listen_host, web.listen_port, app=site)
    from exporter.web.entrance.in_force import WebConfigInForce  # YAML and bcrypt: only where they are asked for
    from exporter.web.entrance.sign_in import SignIn

    in_force = WebConfigInForce(Path(web.config_file))
    tls = in_force.tls_now if in_force.has_tls else None
    app = SignIn(site, in_force.now, prefix=urlsplit(web.external_url).path.rstrip("/"))
    return WebServer(web.listen_host, web.listen_port, app=app, tls=tls)


def serve(app: App, *, also: Callable[[], bool] = lambda: True) -> int:
    """Run a started app until a signal comes or a worker dies; the exit code. `also` says whether to go on.

    A worker that hangs in somebody else's answer does not hold up the end: it is left behind with the process.
    """
    code = 0
    for caught in arrivals():
        tell_repeats()
        if caught in (signal.SIGTERM, signal.SIGINT):
            log.info("stopping", extra={"signal": signal.Signals(caught).name})
            break
        if caught == signal.SIGHUP:
            app.reload()
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
