"""Stands before all that we serve: asks for a password, counts requests, adds the response headers of the web config.

The health endpoints need neither password nor patience: whoever restarts us when they do not answer has none.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING

from exporter.web.connections import VERIFIED
from exporter.web.entrance.passwords import Passwords
from exporter.web.entrance.tries import Allowance, Bucket, Tries, neighbourhood
from exporter.web.revealing import SIGNED_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Message, Receive, Scope, Send

    from exporter.web.entrance.web_config import RateLimit, WebConfig
    from exporter.web.shortcut import Headers, Shortcut, ShortcutApp

log = logging.getLogger(__name__)

OPEN_TO_ALL = ("/-/healthy", "/-/ready")

_ALLOWANCE = Allowance()


class SignIn:
    """An ASGI app around another. Its shortcuts are for those whose password was right before."""

    def __init__(
        self,
        app: ShortcutApp,
        web_config: Callable[[], WebConfig],
        *,
        prefix: str = "",
        allowance: Allowance = _ALLOWANCE,
        passwords: Passwords | None = None,
    ) -> None:
        """`web_config` says what is in force; `prefix` is a path below which the app answers as well."""
        self._app = app
        self._web_config = web_config
        self._open = frozenset((*OPEN_TO_ALL, *(prefix + path for path in OPEN_TO_ALL)))
        self._passwords = passwords or Passwords()
        self._tries = Tries(allowance)
        self._limit: tuple[RateLimit, Bucket] | None = None
        self.shortcuts: Mapping[bytes, Shortcut] = {
            url: self._guarded(shortcut) for url, shortcut in app.shortcuts.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        config = self._web_config()
        send = _adding(config.headers, send)
        refusal = None if scope["path"] in self._open else await self._refusal(scope, config)
        if refusal is None:
            signed_in = bool(config.users) or VERIFIED in scope
            await self._app({**scope, SIGNED_IN: signed_in and scope["path"] not in self._open}, receive, send)
        else:
            await refusal.answer(send)

    def _guarded(self, shortcut: Shortcut) -> Shortcut:
        def guarded(headers: Headers) -> tuple[Headers, bytes] | None:
            config = self._web_config()
            if config.rate_limit or (config.users and not self._known(headers, config)):
                return None
            answer = shortcut(headers)
            return answer and (_with(config.headers, answer[0]), answer[1])

        return guarded

    async def _refusal(self, scope: Scope, config: WebConfig) -> Refusal | None:
        """Why a request is not let through; None when it is."""
        now = asyncio.get_running_loop().time()
        if config.rate_limit and (wait := self._bucket(config.rate_limit, now).take(now)):
            return _too_many(wait)
        if not config.users or self._known(scope["headers"], config):
            return None
        authorization = _authorization(scope["headers"])
        if authorization is None:
            return _UNAUTHORIZED
        address = scope["client"][0] if scope["client"] else ""
        if wait := self._tries.begin(address, now):
            return _too_many(wait)
        good = False
        try:
            good = await self._passwords.are_right(authorization, config.users)
        finally:
            self._tries.end(address, now, good=good)
        if good:
            return None
        log.warning("A wrong user or password.", extra={"client": neighbourhood(address)})
        return _UNAUTHORIZED

    def _known(self, headers: Headers, config: WebConfig) -> bool:
        authorization = _authorization(headers)
        return authorization is not None and self._passwords.remembers(authorization, config.users)

    def _bucket(self, limit: RateLimit, now: float) -> Bucket:
        if self._limit is None or self._limit[0] != limit:
            self._limit = limit, Bucket(size=limit.burst, every=limit.interval.total_seconds(), now=now)
        return self._limit[1]


class Refusal:
    """An answer of ours instead of the app's."""

    def __init__(self, status: HTTPStatus, *headers: tuple[bytes, bytes]) -> None:
        self._status = int(status)
        self._body = f"{status.phrase}\n".encode()
        self._headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(self._body)).encode()),
            (b"cache-control", b"no-store"),
            *headers,
        ]

    async def answer(self, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


_UNAUTHORIZED = Refusal(HTTPStatus.UNAUTHORIZED, (b"www-authenticate", b"Basic"))


def _too_many(wait: float) -> Refusal:
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, (b"retry-after", str(max(1, ceil(wait))).encode()))


def _authorization(headers: Headers) -> bytes | None:
    """The one Authorization header; None when there is none, or more than one."""
    found = [value for name, value in headers if name == b"authorization"]
    return found[0] if len(found) == 1 else None


def _adding(extra: tuple[tuple[bytes, bytes], ...], send: Send) -> Send:
    """A `send` that puts headers on every answer."""
    if not extra:
        return send

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": _with(extra, message["headers"])}
        await send(message)

    return adding


def _with(extra: tuple[tuple[bytes, bytes], ...], headers: Headers) -> Headers:
    """Headers with some more, which replace those of the same name."""
    names = {name for name, _ in extra}
    return [*(header for header in headers if header[0].lower() not in names), *extra]
