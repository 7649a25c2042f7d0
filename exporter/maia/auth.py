"""Signing in: the OAuth client-credentials token, renewed before it ends and once when the API calls it bad.

A generator in httpx's manner: it yields requests and is sent whole answers, so it does no I/O itself. Must not loop:
one exchange with the API renews at most once, and a token that was just fetched is not fetched again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from exporter.maia import fields, mapping

if TYPE_CHECKING:
    from exporter.clock import Clock
    from exporter.maia.settings import MaiaSettings

TOKEN_ENDPOINT = "/oauth/dpc/token"  # noqa: S105 - a path, not a secret
_AUDIENCE = "https://api.matillion.com"
_RENEW_BEFORE = 300.0
_DEFAULT_LIFE = 1800.0
_LONGEST_LIFE = 86400.0


@dataclass(frozen=True, slots=True)
class _Token:
    bearer: str = field(repr=False)
    renew_at: float  # monotonic seconds


class ClientCredentials(httpx.Auth):
    """Puts a bearer token on requests.

    Threads may share it: a token is swapped in one step, so at worst two threads renew at once, which does no harm.
    """

    requires_response_body = True

    def __init__(
        self, settings: MaiaSettings, *, clock: Clock, on_renewed: Callable[[datetime], None] = lambda _: None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_renewed = on_renewed
        self._token: _Token | None = None
        self.expires_at: datetime | None = None
        """When the present token ends; None before the first."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may show."""
        token = self._token
        return (self._settings.client_secret, token.bearer if token else "")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yields `request` signed, before and between it a token request where one is due. Raises MaiaError."""
        token = self._token
        fetched = token is None or self._clock.monotonic() >= token.renew_at
        if token is None or fetched:
            token = self._accepted((yield self._token_request()))
        response = yield _signed(request, token)
        if response.status_code != HTTPStatus.UNAUTHORIZED or fetched:
            return
        newest = self._token
        if newest is None or newest is token:  # else another thread has renewed it meanwhile
            newest = self._accepted((yield self._token_request()))
        yield _signed(request, newest)

    def _token_request(self) -> httpx.Request:
        return httpx.Request(
            "POST",
            self._settings.token_url,
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": self._settings.user_agent},
            data={
                "grant_type": "client_credentials",
                "client_id": self._settings.client_id,
                "client_secret": self._settings.client_secret,
                "audience": _AUDIENCE,
            },
        )

    def _accepted(self, response: httpx.Response) -> _Token:
        if not response.is_success:
            raise mapping.sign_in_refusal(response, now=self._clock.now(), secrets=self.secrets)
        try:
            answer = fields.unwrapped(fields.decode(response.content))
            bearer = fields.required(answer, "access_token", path="token", longest=fields.LONGEST_TOKEN)
            if not (bearer.isascii() and bearer.isprintable()):
                raise fields.UnusableError("token.access_token", "not a token")  # noqa: TRY301 - one way out
        except (fields.UnreadableError, fields.UnusableError) as error:
            # The body may hold a token under another name: it stays out of the message.
            body = response.content if response.content.lstrip().startswith(b"<") else b""
            raise mapping.bad_answer(
                str(error), tried="sign in", host=response.url.host, body=body, secrets=self.secrets
            ) from error
        life = _life(answer)
        token = _Token(bearer, self._clock.monotonic() + life - min(_RENEW_BEFORE, life / 2))
        self._token = token
        self.expires_at = self._clock.now() + timedelta(seconds=life)
        self._on_renewed(self.expires_at)
        return token


def _signed(request: httpx.Request, token: _Token) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token.bearer}"
    return request


def _life(answer: Mapping[str, Any]) -> float:
    try:
        life = float(answer.get("expires_in", _DEFAULT_LIFE))
    except (TypeError, ValueError):
        return _DEFAULT_LIFE
    return _DEFAULT_LIFE if math.isnan(life) else min(max(life, 0.0), _LONGEST_LIFE)
