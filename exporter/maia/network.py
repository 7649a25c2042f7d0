"""Bounds every wait on a socket by the call's deadline and by a stop, and every body by its size.

httpx has timeouts for one read only: a server that drips a byte a second holds a call for ever, also in the headers,
before any of our code sees a byte. So the bound sits below httpx, around the sockets, where each wait is cut into short
slices. Only the lookup of a host's name cannot be bounded: it is the resolver's. Must not know what is asked or
answered.
"""

from __future__ import annotations

import math
import socket
import zlib
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from exporter.maia.errors import Stopped

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable, Iterable

    from exporter.clock import Clock

_SLICE = 0.2
"""Seconds between two looks at the stop while a read waits."""

MAX_BODY = 8 * 1024 * 1024
"""Bytes of an answer after decompression; a page of 100 runs is about 50 KiB. As objects it may be ten times that."""


class BodyError(ValueError):
    """The body cannot be taken: too large, or its compression is broken or was not asked for."""


class Bounds:
    """Until when the present exchange may last (monotonic seconds), and whether we are to stop."""

    def __init__(self, clock: Clock, stop: threading.Event) -> None:
        self._clock = clock
        self._stop = stop
        self.ends_at = math.inf
        self.connections = 0
        """How many were opened so far: unchanged after an exchange means that an old one was used."""

    def left(self) -> float:
        """Seconds; 0 or less once it is over. Raises Stopped."""
        if self._stop.is_set():
            raise Stopped("stopped while talking to the Maia API")
        return self.ends_at - self._clock.monotonic()


def bound(client: httpx.Client, bounds: Bounds) -> None:
    """Make every connection of `client`, proxies included, keep within `bounds`.

    httpx has no public door to its sockets' layer (httpcore's network backend), so this uses two private names. The
    tests with dripping servers go red should a new version move them.
    """
    for transport in [client._transport, *client._mounts.values()]:
        if isinstance(transport, httpx.HTTPTransport):
            pool = transport._pool
            pool._network_backend = _BoundedBackend(pool._network_backend, bounds)


def read_body(response: httpx.Response) -> bytes:
    """The decompressed body, at most `MAX_BODY` bytes. Raises BodyError and what httpx raises.

    Decompressed here and not by httpx, which lets one chunk of a bomb grow without a limit.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise BodyError("an encoding that was not asked for")
    unzip = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body = bytearray()
    for chunk in response.iter_raw():
        try:
            body += unzip.decompress(chunk, MAX_BODY + 1 - len(body)) if unzip else chunk
        except zlib.error as error:
            raise BodyError("broken compression") from error
        if len(body) > MAX_BODY:
            raise BodyError(f"the answer is larger than {MAX_BODY} bytes")
    if unzip and body and not unzip.eof:
        raise BodyError("the compressed answer ends too early")
    return bytes(body)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, bounds: Bounds) -> None:
        self._inner = inner
        self._bounds = bounds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        patience = math.inf if timeout is None else timeout
        while True:
            share = min(_SLICE, patience, self._bounds.left())
            if share <= 0:
                raise httpcore.ReadTimeout("the answer took too long")
            try:
                return self._inner.read(max_bytes, timeout=share)
            except httpcore.ReadTimeout:
                patience -= share

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout=_within(timeout, self._bounds, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        share = _within(timeout, self._bounds, httpcore.ConnectTimeout)
        return _BoundedStream(self._inner.start_tls(ssl_context, server_hostname, timeout=share), self._bounds)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # Unicode: what the standard library says of a label that is too long
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _BoundedBackend(httpcore.NetworkBackend):
    def __init__(
        self,
        inner: httpcore.NetworkBackend,
        bounds: Bounds,
        *,
        resolve: Callable[[str, int], list[str]] = _resolve,
    ) -> None:
        self._inner = inner
        self._bounds = bounds
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Tries each address of `host` with a share of the time, so that silent ones cannot add up."""
        self._bounds.connections += 1
        failure: Exception | None = None
        addresses = self._resolve(host, port)
        for position, address in enumerate(addresses):
            share = _within(timeout, self._bounds, httpcore.ConnectTimeout) / (len(addresses) - position)
            try:
                stream = self._inner.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, self._bounds)
        raise failure or httpcore.ConnectError("the host's name has no address")


def _within(timeout: float | None, bounds: Bounds, error: type[Exception]) -> float:
    left = bounds.left()
    if left <= 0:
        raise error("no time is left")
    return left if timeout is None else min(timeout, left)
