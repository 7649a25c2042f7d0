"""Turns what httpx raises and what HTTP says into `exporter.maia.errors`, once, with a hint for the operator.

Must not send anything and must not log. Texts start with what we tried; of the other side's words they carry an
excerpt, without secrets.
"""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from exporter.maia import fields
from exporter.maia.errors import (
    BadAnswer,
    Conflict,
    Forbidden,
    Gone,
    MaiaError,
    NetworkFailed,
    NotFound,
    RateLimited,
    Refused,
    Retryable,
    ServerFailed,
    TimedOut,
    Unauthorized,
    excerpt,
)

LONGEST_RETRY_AFTER = 3600.0
"""Seconds: a server that asks for more is asked again after an hour, or one bad header would blind us for days."""

DEFAULT_RETRY_AFTER = 30.0
"""Seconds after a 429 that names none."""

_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "check client_id and client_secret, and that the region is the account's own",
    HTTPStatus.FORBIDDEN: "the credentials are good but their account role or scope does not cover this",
    HTTPStatus.NOT_FOUND: "check the id or name, and that api_url is the account's own region and ends in /dpc",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "the proxy wants a sign-in: see HTTPS_PROXY",
    HTTPStatus.CONFLICT: "it clashes with something that still goes on",
    HTTPStatus.GONE: "it exists but is disabled",
    HTTPStatus.TOO_MANY_REQUESTS: "the account's request limit is used up: lower requests_per_minute or ask less often",
}
_REFUSALS: dict[int, type[MaiaError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Gone,
}
_TRY_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY)
_NO_SUCH_PLACE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE)
_HTML_HINT = "the answer is a web page, so it comes from a proxy, a firewall or a sign-in page, or api_url is wrong"


def refusal(
    response: httpx.Response, *, tried: str, now: datetime, project_id: str = "", secrets: tuple[str, ...] = ()
) -> MaiaError:
    """The error for a whole answer whose status is not 2xx. `now`: our clock, if the answer shows no server's."""
    status = response.status_code
    message = f"{tried} at {response.url.host}: HTTP {status}{_said(response, secrets)}; {_hint(response)}"
    wanted = retry_after(response.headers, now)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(message, retry_after=DEFAULT_RETRY_AFTER if wanted is None else wanted)
    if response.is_server_error or status in _TRY_LATER:
        return ServerFailed(message, retry_after=wanted)
    if status == HTTPStatus.FORBIDDEN:
        return Forbidden(message, project_id=project_id)
    return _REFUSALS.get(status, Refused)(message)


def sign_in_refusal(response: httpx.Response, *, now: datetime, secrets: tuple[str, ...]) -> MaiaError:
    """The error for a token request that gave no token: never one that could be taken for the API's word on a run."""
    error = refusal(response, tried="sign in", now=now, secrets=secrets)
    if isinstance(error, Retryable) or response.is_redirect:
        return error
    # OAuth says invalid_client with 400 as well as 401; whatever 4xx it is, this does not sign in.
    hint = "check token_url" if response.status_code in _NO_SUCH_PLACE else _HINTS[HTTPStatus.UNAUTHORIZED]
    if _is_html(response):
        hint = _HTML_HINT
    said = _said(response, secrets)
    return Unauthorized(f"sign in at {response.url.host}: HTTP {response.status_code}{said}; {hint}")


def network_failure(error: Exception, *, tried: str, host: str, sent: bool) -> MaiaError:
    """The error for an exchange that httpx could not finish. `sent`: it may have done something all the same."""
    doubt = "; it may have been carried out all the same: look before repeating it" if sent else ""
    what = excerpt(str(error)) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        phase = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no whole answer"
        return TimedOut(f"{tried} at {host}: {phase} in time; check the network and request_timeout{doubt}")
    return NetworkFailed(f"{tried} at {host}: {what}; {_network_hint(error)}{doubt}")


def bad_answer(reason: str, *, tried: str, host: str, body: bytes, secrets: tuple[str, ...] = ()) -> BadAnswer:
    """The error for a 2xx answer that is not what was asked for."""
    said = excerpt(body[:20_000].decode("utf-8", errors="replace"), secrets=secrets)
    hint = _HTML_HINT if _looks_like_html(said) else "is api_url the Maia API, and is this version recent?"
    return BadAnswer(f"{tried} at {host}: {excerpt(reason, secrets=secrets)} (answer: {said or 'empty'}); {hint}")


def retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date, at most an hour; None without a readable one."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        at = http_date(value)
        if at is None:
            return None
        # The date is on the server's clock; so is its own Date header.
        seconds = (at - (http_date(headers.get("Date", "")) or now)).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def http_date(value: str) -> datetime | None:
    """An HTTP date header's instant in UTC, None if it is not one."""
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _hint(response: httpx.Response) -> str:
    if response.is_redirect:
        where = excerpt(_redirect_host(response.headers.get("Location", "")))
        return f"redirects are not followed (to {where}): set api_url and token_url to the final address"
    if _is_html(response):
        return _HTML_HINT
    if response.is_server_error or response.status_code in _TRY_LATER:
        return "the service or something in front of it is in trouble; it is asked again later"
    return _HINTS.get(response.status_code, "the API refused these values")


def _redirect_host(location: str) -> str:
    try:
        return urlsplit(location).hostname or "the same host"
    except ValueError:
        return "an address that cannot be read"


def _said(response: httpx.Response, secrets: tuple[str, ...]) -> str:
    words = _problem(response) or response.text
    said = excerpt(words, secrets=secrets)
    return f" ({said})" if said else ""


def _problem(response: httpx.Response) -> str:
    # Of a problem object, or of an OAuth error, what a person wants to read.
    try:
        problem = fields.decode(response.content)
    except fields.UnreadableError:
        return ""
    if not isinstance(problem, Mapping):
        return ""
    return ": ".join(_words(problem))


def _words(problem: Mapping[str, Any]) -> Iterator[str]:
    for key in ("title", "error", "detail", "error_description", "message"):
        value = problem.get(key)
        if isinstance(value, str) and value:
            yield value
    if violations := problem.get("violations"):
        yield repr(violations)


def _is_html(response: httpx.Response) -> bool:
    return "html" in response.headers.get("Content-Type", "") or _looks_like_html(response.text[:100])


def _looks_like_html(text: str) -> bool:
    return text.lstrip("\ufeff \r\n\t").startswith("<")


def _network_hint(error: Exception) -> str:
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, socket.gaierror | UnicodeError):
            return "the host's name does not resolve: check the region or api_url, DNS, and HTTPS_PROXY"
        if isinstance(chain, ssl.SSLCertVerificationError):
            return "its certificate is not trusted: behind a TLS proxy, set SSL_CERT_FILE to that proxy's CA"
        if isinstance(chain, httpx.ProxyError):
            return "the proxy failed: see HTTPS_PROXY and NO_PROXY"
        if isinstance(chain, ConnectionRefusedError):
            return "nothing listens there: check api_url and token_url"
        chain = chain.__cause__ or chain.__context__
    return "check the network, a firewall or proxy in between, and HTTPS_PROXY"
