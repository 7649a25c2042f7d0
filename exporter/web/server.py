"""The web server: uvicorn in a thread of its own, on a socket that is bound before the thread starts.

Must not handle signals (the main thread does), nor know what it serves.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

import uvicorn

from exporter.web.connections import Crowd, GuardedProtocol, Patience
from exporter.web.entrance.handshake import accept_tls
from exporter.web.shortcut import ShortcutProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.web.entrance.tls import Tls
    from exporter.web.shortcut import ShortcutApp

log = logging.getLogger(__name__)

_BACKLOG = 1_024
_LAST_ANSWERS = 1  # seconds that answers have to end when we stop
_PATIENCE = Patience()


class CannotListen(OSError):  # noqa: N818 - says what happened
    """The address cannot be had; the text names it, the reason, and what to do."""


class _Server(uvicorn.Server):
    """uvicorn's server, which accepts TLS by itself, and at its end drops those who do not read their answers."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        crowd: Crowd,
        protocol: Callable[..., GuardedProtocol],
        tls: Callable[[], Tls] | None,
    ) -> None:
        super().__init__(config)
        self._crowd = crowd
        self._protocol = protocol
        self._tls = tls
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        if self._tls is None or sockets is None:
            await super().startup(sockets)
            return
        await super().startup([])
        protocol = partial(
            self._protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        accepting = accept_tls(sockets[0], crowd=self._crowd, tls=self._tls, protocol=protocol)
        self._accepting = asyncio.get_running_loop().create_task(accepting)
        self._accepting.add_done_callback(self._accepts_no_more)

    def _accepts_no_more(self, accepting: asyncio.Task[None]) -> None:
        if not accepting.cancelled() and (error := accepting.exception()):
            log.error("the web server has failed", exc_info=error)
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End gracefully within uvicorn's time, then anyhow."""
        if self._accepting:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        await super().shutdown(sockets)
        self._crowd.send_home()
        await asyncio.sleep(0)  # so that the loop hears of it before it is closed


class WebServer:
    """Serves an ASGI app from `start` to `stop`; over TLS where `tls` says with what each handshake is done."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        app: ShortcutApp,
        patience: Patience = _PATIENCE,
        tls: Callable[[], Tls] | None = None,
    ) -> None:
        self.has_tls = tls is not None
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._thread: Thread | None = None
        crowd = Crowd(patience)
        protocol = partial(ShortcutProtocol, shortcuts=app.shortcuts, crowd=crowd)
        config = uvicorn.Config(
            app,
            http=protocol,  # type: ignore[arg-type]  # called like the class
            loop="auto",
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="error",  # uvicorn warns about every malformed request: anybody could fill the log
            backlog=_BACKLOG,
            timeout_keep_alive=int(patience.idle) + 1,  # the crowd ends idle connections before that
            timeout_graceful_shutdown=_LAST_ANSWERS,
        )
        self._server = _Server(config, crowd=crowd, protocol=protocol, tls=tls)

    def start(self) -> None:
        """Bind and serve; from now on connections are accepted. Raises CannotListen before anything has begun."""
        self._socket = _bound(self._host, self._port)
        self._thread = Thread(target=self._serve, args=(self._socket,), name="web", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop accepting, let answers end for a second, and close what is open. Takes at most `timeout` seconds."""
        if self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("the web server has not ended within %.1f s", timeout)

    @property
    def alive(self) -> bool:
        """Whether it serves: False before `start`, after `stop`, and when the thread has failed."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def port(self) -> int:
        """The port it listens on; where 0 was asked for, the one the system chose."""
        if self._socket is None or self._socket.fileno() < 0:
            return self._port
        return int(self._socket.getsockname()[1])

    def _serve(self, bound: socket.socket) -> None:
        try:
            self._server.run(sockets=[bound])
        except Exception:  # the end of a thread's road: whoever asks `alive` acts on it
            log.exception("the web server has failed")
        finally:
            bound.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if host == "::" and socket.has_dualstack_ipv6():
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "is another exporter running? [web] listen names the address"
        ) from error
    return bound
