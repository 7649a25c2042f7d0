"""Connections over TLS: accepted by us, and watched by the crowd from their first moment.

The loop's own TLS server tells nobody about a connection before its handshake is done, so that clients which never
finish one could take all files a process may open. Must not know what is served.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import TYPE_CHECKING

from exporter.config.addresses import is_loopback
from exporter.web.entrance.tries import neighbourhood

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.web.connections import Crowd, GuardedProtocol
    from exporter.web.entrance.tls import Tls

log = logging.getLogger(__name__)

_PAUSE = 0.1  # seconds, when no connection can be had: too many open files, say


async def accept_tls(
    listening: socket.socket,
    *,
    crowd: Crowd,
    tls: Callable[[], Tls],
    protocol: Callable[[], GuardedProtocol],
) -> None:
    """Accept connections until cancelled. Each handshake is by what `tls` says when it begins."""
    loop = asyncio.get_running_loop()
    listening.setblocking(False)
    while True:
        try:
            client, address = await loop.sock_accept(listening)
        except OSError as error:
            log.debug("cannot accept a connection", extra={"error": str(error)})
            await asyncio.sleep(_PAUSE)
            continue
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Newcomer(client, address[0], crowd=crowd, tls=tls(), protocol=protocol)


class Newcomer:
    """A connection until its handshake is done; a member of the crowd."""

    answering = False

    def __init__(
        self, client: socket.socket, address: str, *, crowd: Crowd, tls: Tls, protocol: Callable[[], GuardedProtocol]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting_since = self.loop.time()
        self.patience = crowd.patience.request
        self._untouched: socket.socket | None = client
        self._address = neighbourhood(address)
        self._crowd = crowd
        self._tls = tls
        self._protocol = protocol
        crowd.admit(self)
        self._task = self.loop.create_task(self._shake_hands(client))

    def drop(self) -> None:
        """End the connection."""
        self._crowd.leave(self)
        self._task.cancel()
        if self._untouched:
            self._untouched.close()

    async def _shake_hands(self, client: socket.socket) -> None:
        self._untouched = None  # from now on the loop closes it
        try:
            await self.loop.connect_accepted_socket(
                self._successor,
                client,
                ssl=self._tls.context,
                ssl_handshake_timeout=self.patience + 1,  # the crowd ends it before that
                ssl_shutdown_timeout=self.patience,
            )
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):  # gone
            log.debug("A client has left in the middle of the TLS handshake.", extra={"client": self._address})
        except ssl.SSLError as error:  # no certificate or a wrong one, an old version, no TLS at all: they hear nothing
            if error.reason == "HTTP_REQUEST" and is_loopback(self._address):  # a health check, which tries TLS next
                log.debug("A client on this machine speaks no TLS.")
                return
            self._tell(getattr(error, "verify_message", "") or str(error.reason).lower().replace("_", " "))
        except OSError as error:
            log.debug("No TLS handshake.", extra={"client": self._address, "reason": str(error)})
        finally:
            self._crowd.leave(self)

    def _successor(self) -> GuardedProtocol:
        protocol = self._protocol()
        protocol.at_the_door = self._lets_in
        protocol.verified = self._tls.knows_clients
        return protocol

    def _lets_in(self, transport: asyncio.BaseTransport) -> bool:
        self._crowd.leave(self)
        admitted = self._tls.admits(transport.get_extra_info("peercert"))
        if not admitted:
            self._tell("no name of its certificate is among client_allowed_sans")
        return admitted

    def _tell(self, reason: str) -> None:
        log.warning("No TLS handshake with a client.", extra={"client": self._address, "reason": reason})
