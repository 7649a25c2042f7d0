"""Puts the simulator together: as an ASGI app, or served on a socket from a thread of its own.

Must not know what the account does.
"""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exporter.simulator.api import api_routes
from exporter.simulator.control import control_routes
from exporter.simulator.gate import TRANSPORT, Gate, refusals
from exporter.simulator.oauth import oauth_routes
from exporter.simulator.reader import load_script
from exporter.simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporter.simulator.script import Script
    from exporter.simulator.world import World

_STOP_SECONDS = 5.0
_FASTEST = 100_000.0


def machine_clock() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the simulator may not import exporter.clock; its only reading of time


def create_app(
    script: str | Path | Script = "demo",
    *,
    seed: int = 1,
    speed: float = 1.0,
    clock: Callable[[], datetime] = machine_clock,
) -> Starlette:
    """The simulator as an app; `app.state.simulation` holds its insides. ScriptError if the script cannot be used.

    `script` is a name (see `named_scripts`), a file, or a Script; `clock` gives aware UTC instants. Everything runs on
    the event loop, so that one request sees one instant.
    """
    if not 0 <= speed <= _FASTEST:
        raise ValueError(f"speed {speed:g} is not between 0 and {_FASTEST:g}")
    simulation = Simulation(load_script(script), seed=seed, speed=speed, clock=clock)
    app = Starlette(
        routes=[*oauth_routes(simulation), *api_routes(simulation), *control_routes(simulation)],
        middleware=[Middleware(Gate, simulation=simulation)],
        exception_handlers=refusals(simulation),
    )
    app.state.simulation = simulation
    return app


class _Protocol(HttpToolsProtocol):
    """Lets the app reach its connection, so that a reset can be a real one."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]  # a key of our own


class ServedSimulator:
    """A simulator that listens; `stop()` ends it, and so does leaving a `with` block."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        self.app = app
        self._simulation: Simulation = app.state.simulation
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.api_url = f"{self.url}/dpc"
        self.token_url = f"{self.url}/oauth/dpc/token"
        self.control_url = f"{self.url}/control"
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,  # the simulator sends its own server's clock
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="maia-simulator", daemon=True)

    @property
    def world(self) -> World:
        """The account. It belongs to the serving thread: look at it while nothing is asked, or use the control URL."""
        return self._simulation.world

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def start(self) -> ServedSimulator:
        """Begin to serve; the socket accepts connections already."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End within about two seconds, also with requests that hang."""
        self._simulation.stopping = True
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._listener.close()

    def __enter__(self) -> ServedSimulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])


def serve(
    script: str | Path | Script = "demo",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 1,
    speed: float = 1.0,
    clock: Callable[[], datetime] = machine_clock,
) -> ServedSimulator:
    """Serve a simulator from a thread of its own; port 0 takes a free one. OSError if the address is taken."""
    app = create_app(script, seed=seed, speed=speed, clock=clock)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return ServedSimulator(app, listener).start()
