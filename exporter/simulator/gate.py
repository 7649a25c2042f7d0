"""What stands before the API as plain ASGI: the server's clock in `Date`, the request log, faults of the connection.

Must not read tokens or bodies.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from exporter.simulator.api import retry_after
from exporter.simulator.problems import ProblemError, html_response, problem_response
from exporter.simulator.simulation import Entry

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from exporter.simulator.simulation import Simulation

TRANSPORT = "simulator.transport"
"""Where the scope holds the connection, when a real one carries the request."""


class Gate:
    """Wraps the simulator's app; the control endpoint meets no fault and no log, but is for this machine only."""

    def __init__(self, app: ASGIApp, simulation: Simulation) -> None:
        self._app, self._simulation = app, simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        now = self._simulation.now()
        send = self._dated(send)
        if scope["path"].startswith("/control"):
            app = self._app if _from_here(scope) else self._problem(scope, ProblemError(403, "Only from this machine."))
            await app(scope, receive, send)
            return
        entry = Entry(now, scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
        scope["simulator.entry"] = entry
        self._simulation.log.append(entry)
        try:
            await self._faulty(scope, receive, self._logged(send, entry))
        finally:
            entry.seconds = (self._simulation.now() - now).total_seconds()

    async def _faulty(self, scope: Scope, receive: Receive, send: Send) -> None:
        if fault := self._hit("latency", scope):
            await asyncio.sleep(fault["seconds"])
        if self._hit("hang", scope) is not None:
            await _gone(receive)
            return
        answer = self._instead(scope)
        if answer is not None:
            await answer(scope, receive, send)
            return
        if fault := self._hit("patch_applied", scope):
            await self._app(scope, receive, _swallow)
            if fault["hang"]:
                await _gone(receive)
            else:
                problem = ProblemError(int(fault["status"]), "Something went wrong.")
                await self._problem(scope, problem)(scope, receive, send)
            return
        if fault := self._hit("reset", scope):
            send = _Reset(scope, send, int(fault["after_bytes"]))
        elif fault := self._hit("drip", scope):
            send = _drip(send, fault["seconds"], max(1, int(fault["bytes"])))
        await self._app(scope, receive, send)

    def _instead(self, scope: Scope) -> Response | None:
        if fault := self._hit("rate_limited", scope):
            wait = retry_after(self._simulation, self._simulation.now(), fault["retry_after"])
            return self._problem(scope, ProblemError(429, "Too many requests.", headers={"Retry-After": wait}))
        if fault := self._hit("html", scope):
            return html_response(int(fault["status"]), "Scheduled maintenance")
        if fault := self._hit("status", scope):
            response = self._problem(scope, ProblemError(int(fault["status"]), "Something went wrong."))
            if fault["body"] == "html":
                return html_response(int(fault["status"]), "Bad gateway")
            if fault["body"] == "empty":
                response.body = b""
                response.headers["content-length"] = "0"
            return response
        return None

    def _problem(self, scope: Scope, problem: ProblemError) -> Response:
        return problem_response(problem, instance=scope["path"], html=self._simulation.answers.html_errors)

    def _hit(self, kind: str, scope: Scope) -> dict[str, Any] | None:
        if kind == "patch_applied" and scope["method"] != "PATCH":
            return None
        return self._simulation.faults.hit(
            kind,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            now=self._simulation.now(),
        )

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._clock(), usegmt=True).encode()
                message["headers"] = [*message.get("headers", []), (b"date", date)]
            await send(message)

        return dated

    def _clock(self) -> datetime:
        return self._simulation.clock() + self._simulation.offset

    def _logged(self, send: Send, entry: Entry) -> Send:
        async def logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.answered = message["status"]
            await send(message)

        return logged


def _from_here(scope: Scope) -> bool:
    """Whether a loopback address asks: the control endpoint has no sign-in."""
    client = scope.get("client")
    return client is not None and (client[0] == "::1" or client[0].startswith("127."))


async def _gone(receive: Receive) -> None:
    """Until the client has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _swallow(_message: Message) -> None:
    """An answer that nobody gets."""


class _Reset:
    """Sends the answer up to so many bytes of its body, then resets the connection (RST, no goodbye)."""

    def __init__(self, scope: Scope, send: Send, after_bytes: int) -> None:
        self._transport: asyncio.Transport | None = scope.get(TRANSPORT)
        self._send, self._left, self._start = send, after_bytes, after_bytes

    async def __call__(self, message: Message) -> None:
        if self._start == 0:
            self._reset()
        if message["type"] == "http.response.body" and len(message.get("body", b"")) >= self._left:
            await self._send({**message, "body": message.get("body", b"")[: self._left], "more_body": True})
            await asyncio.sleep(0.05)  # let it leave: a reset throws away what is still in the buffers
            self._reset()
        await self._send(message)

    def _reset(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(OSError, AttributeError):
                linger = struct.pack("ii", 1, 0)
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        raise ConnectionResetError("the simulator resets this connection on purpose")


def _drip(send: Send, seconds: float, size: int) -> Send:
    async def drip(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or not body:
            await send(message)
            return
        for place in range(0, len(body), size):
            if place:
                await asyncio.sleep(seconds)
            more = place + size < len(body) or message.get("more_body", False)
            await send({**message, "body": body[place : place + size], "more_body": more})

    return drip


def refusals(simulation: Simulation) -> dict[Any, Any]:
    """Starlette's exception handlers: every refusal becomes a problem."""

    async def refused(request: Any, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            error = ProblemError(error.status_code, error.detail, headers=dict(error.headers or {}))
        assert isinstance(error, ProblemError)  # noqa: S101 - registered for these two only
        html = simulation.answers.html_errors and not request.url.path.startswith("/control")
        return problem_response(error, instance=request.url.path, html=html)

    return {ProblemError: refused, HTTPException: refused}
