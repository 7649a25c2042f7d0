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
_LOOK_SECONDS = 0.1  # so often what sleeps looks whether the simulator stops


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
        except _ConnectionGone:
            pass
        finally:
            entry.seconds = (self._simulation.now() - now).total_seconds()

    async def _faulty(self, scope: Scope, receive: Receive, send: Send) -> None:
        if fault := self._hit("latency", scope):
            await self._pause(scope, fault["seconds"])
        if self._hit("hang", scope) is not None:
            await self._hang(scope, receive)
            return
        answer = self._instead(scope)
        if answer is not None:
            await answer(scope, receive, send)
            return
        if fault := self._hit("patch_applied", scope):
            await self._app(scope, receive, _swallow)
            if fault["hang"]:
                await self._hang(scope, receive)
            else:
                problem = ProblemError(int(fault["status"]), "Something went wrong.")
                await self._problem(scope, problem)(scope, receive, send)
            return
        if fault := self._hit("reset", scope):
            send = _Reset(scope, send, int(fault["after_bytes"]))
        elif fault := self._hit("drip", scope):
            send = self._drip(scope, send, fault["seconds"], max(1, int(fault["bytes"])))
        await self._app(scope, receive, send)

    def _instead(self, scope: Scope) -> Response | None:
        if fault := self._hit("rate_limited", scope):
            wait = retry_after(self._simulation, self._simulation.now(), fault["retry_after"])
            return self._problem(scope, ProblemError(429, "Too many requests.", headers={"Retry-After": wait}))
        if fault := self._hit("html", scope):
            return html_response(int(fault["status"]), "Scheduled maintenance")
        if fault := self._hit("status", scope):
            headers = {"Location": fault["location"]} if fault["location"] else {}
            if fault["retry_after"]:
                headers["Retry-After"] = retry_after(self._simulation, self._simulation.now(), fault["retry_after"])
            if fault["body"] == "html":
                return html_response(int(fault["status"]), "Bad gateway", headers=headers)
            problem = ProblemError(int(fault["status"]), "Something went wrong.", headers=headers)
            response = self._problem(scope, problem)
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

    async def _pause(self, scope: Scope, seconds: float) -> None:
        """Sleep; when the simulator stops meanwhile, drop the connection."""
        while seconds > 0:
            if self._simulation.stopping:
                await _drop(scope)
            await asyncio.sleep(min(seconds, _LOOK_SECONDS))
            seconds -= _LOOK_SECONDS

    async def _hang(self, scope: Scope, receive: Receive) -> None:
        """Never answer: until the client gives up, or the simulator stops."""
        while True:
            with contextlib.suppress(TimeoutError):
                message = await asyncio.wait_for(receive(), _LOOK_SECONDS)
                if message["type"] == "http.disconnect":
                    return
            await self._pause(scope, _LOOK_SECONDS / 2)

    def _drip(self, scope: Scope, send: Send, seconds: float, size: int) -> Send:
        async def drip(message: Message) -> None:
            body = message.get("body", b"")
            if message["type"] != "http.response.body" or not body:
                await send(message)
                return
            for place in range(0, len(body), size):
                if place:
                    await self._pause(scope, seconds)
                more = place + size < len(body) or message.get("more_body", False)
                await send({**message, "body": body[place : place + size], "more_body": more})

        return drip

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


async def _swallow(_message: Message) -> None:
    """An answer that nobody gets."""


class _ConnectionGone(Exception):  # noqa: N818 - no error: what was to happen has happened
    """The connection of this request has been dropped on purpose."""


async def _drop(scope: Scope) -> None:
    """Reset the connection (RST, no goodbye), and end the request."""
    transport: asyncio.Transport | None = scope.get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("the simulator resets this connection on purpose")
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
    await asyncio.sleep(0.01)  # let the server notice, or it complains of an answer without an end
    raise _ConnectionGone


class _Reset:
    """Sends the answer up to so many bytes of its body, then drops the connection."""

    def __init__(self, scope: Scope, send: Send, after_bytes: int) -> None:
        self._scope, self._send, self._left = scope, send, after_bytes

    async def __call__(self, message: Message) -> None:
        body = message.get("body", b"")
        if self._left == 0:
            await _drop(self._scope)
        if message["type"] == "http.response.body" and len(body) >= self._left:
            await self._send({**message, "body": body[: self._left], "more_body": True})
            await asyncio.sleep(0.05)  # let it leave: a reset throws away what is still in the buffers
            await _drop(self._scope)
        await self._send(message)


def refusals(simulation: Simulation) -> dict[Any, Any]:
    """Starlette's exception handlers: every refusal becomes a problem."""

    async def refused(request: Any, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            error = ProblemError(error.status_code, error.detail, headers=dict(error.headers or {}))
        assert isinstance(error, ProblemError)  # noqa: S101 - registered for these two only
        html = simulation.answers.html_errors and not request.url.path.startswith("/control")
        return problem_response(error, instance=request.url.path, html=html)

    return {ProblemError: refused, HTTPException: refused}
