"""Every answer and every failure of the network becomes the error whose consequence is right."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from exporter.maia import mapping
from exporter.maia.errors import (
    BadAnswer,
    Cause,
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

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def response(status: int, body: Any = b"", **headers: str) -> httpx.Response:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(
        status, request=httpx.Request("GET", "https://eu1.api.example/dpc/v1/x"), headers=names, **content
    )


def refusal(status: int, body: Any = b"", **headers: str) -> MaiaError:
    return mapping.refusal(
        response(status, body, **headers), tried="list projects", now=NOW, project_id="p-1", secrets=("a-secret-token",)
    )


@pytest.mark.parametrize(
    ("status", "error", "cause", "hint"),
    [
        (301, Refused, Cause.SERVER, "redirects are not followed (to other.example)"),
        (304, Refused, Cause.SERVER, "redirects are not followed"),
        (400, Refused, Cause.SERVER, "the API refused these values"),
        (401, Unauthorized, Cause.AUTH, "check client_id and client_secret"),
        (403, Forbidden, Cause.FORBIDDEN, "role or scope does not cover this"),
        (404, NotFound, Cause.SERVER, "check the id or name"),
        (407, Refused, Cause.SERVER, "HTTPS_PROXY"),
        (408, ServerFailed, Cause.SERVER, "in trouble"),
        (409, Conflict, Cause.SERVER, "clashes"),
        (410, Gone, Cause.SERVER, "disabled"),
        (425, ServerFailed, Cause.SERVER, "in trouble"),
        (429, RateLimited, Cause.RATE_LIMITED, "requests_per_minute"),
        (499, Refused, Cause.SERVER, "refused"),  # no official status
        (500, ServerFailed, Cause.SERVER, "in trouble"),
        (599, ServerFailed, Cause.SERVER, "in trouble"),
    ],
)
def test_a_status_becomes_its_consequence(status: int, error: type[MaiaError], cause: Cause, hint: str):
    found = refusal(status, location="https://other.example/dpc")

    assert type(found) is error
    assert found.cause is cause
    assert str(found).startswith(f"list projects at eu1.api.example: HTTP {status}; ")
    assert hint in str(found)


def test_the_forbidden_project_is_named():
    found = refusal(403)

    assert isinstance(found, Forbidden)
    assert found.project_id == "p-1"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"title": "Bad Request", "detail": "no such status", "status": 400}, " (Bad Request: no such status); "),
        ({"violations": [{"field": "size"}]}, " ([{'field': 'size'}]); "),
        ({"title": None, "detail": 7}, ' ({"title":null,"detail":7}); '),  # nothing usable: the body as it is
        ([1], " ([1]); "),
        (b"  \n", "; "),
        (b"plain \x1b[31mred\x1b[0m\r\nwords", " (plain [31mred [0m words); "),  # nothing a terminal obeys
        ({"detail": "Bearer a-secret-token is bad"}, " (Bearer *** is bad); "),
    ],
)
def test_the_servers_words_are_passed_on_harmless(body: Any, said: str):
    assert f"HTTP 400{said}" in str(refusal(400, body))


def test_long_words_are_cut():
    message = str(refusal(400, {"detail": "x" * 10_000}))

    assert "x" * 199 + "…" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ({}, "the same host"),
        ({"location": "/login"}, "the same host"),
        ({"location": "https://login.example/?client_secret=x"}, "login.example"),
        ({"location": "https://[login"}, "an address that cannot be read"),
    ],
)
def test_a_redirect_names_the_host_it_points_to_and_no_more(location: dict[str, str], where: str):
    assert f"HTTP 302; redirects are not followed (to {where}): set api_url" in str(refusal(302, **location))


@pytest.mark.parametrize("status", [403, 404, 502])
@pytest.mark.parametrize(
    ("body", "headers"),
    [(b"<!DOCTYPE html>", {}), (b"\xef\xbb\xbf\n<html>", {}), (b"oops", {"content_type": "text/html; charset=utf-8"})],
)
def test_a_web_page_is_called_one(status: int, body: bytes, headers: dict[str, str]):
    assert "the answer is a web page, so it comes from a proxy" in str(refusal(status, body, **headers))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "Sun, 01 Mar 2026 12:00:20 GMT"}, 20.0),  # by our clock
        ({"retry_after": "Sun, 01 Mar 2026 12:00:20 GMT", "date": "Sun, 01 Mar 2026 11:59:50 GMT"}, 30.0),  # by theirs
        ({"retry_after": "Sun, 01 Mar 2026 12:00:20"}, 20.0),  # no zone
        ({"retry_after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),  # gone by
        ({"retry_after": "864000"}, 3600.0),  # ten days: one bad header must not blind us
        ({"retry_after": "inf"}, 3600.0),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Sun, 01 Mar 99999 12:00:00 GMT"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize(("status", "default"), [(429, 30.0), (503, None), (425, None)])
def test_retry_after_is_read_as_seconds_and_as_a_date(
    status: int, default: float | None, headers: dict[str, str], seconds: float | None
):
    found = refusal(status, **headers)

    assert isinstance(found, Retryable)
    assert found.retry_after == (default if seconds is None else seconds)


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("raised", "error", "cause", "says"),
    [
        (httpx.ConnectTimeout("timed out"), TimedOut, Cause.TIMEOUT, "no connection in time"),
        (httpx.ReadTimeout("timed out"), TimedOut, Cause.TIMEOUT, "no whole answer in time"),
        (httpx.PoolTimeout(""), TimedOut, Cause.TIMEOUT, "no whole answer in time"),
        (httpx.ReadError(""), NetworkFailed, Cause.NETWORK, "ReadError; check the network"),
        (httpx.RemoteProtocolError("cut short"), NetworkFailed, Cause.NETWORK, "cut short; check the network"),
        (httpx.InvalidURL("odd"), NetworkFailed, Cause.NETWORK, "odd; check the network"),
        (
            chained(httpx.ConnectError("[Errno -2]"), socket.gaierror(-2, "Name or service not known")),
            NetworkFailed,
            Cause.NETWORK,
            "the host's name does not resolve: check the region",
        ),
        (
            chained(httpx.ConnectError("refused"), ConnectionRefusedError()),
            NetworkFailed,
            Cause.NETWORK,
            "nothing listens there",
        ),
        (
            chained(httpx.ConnectError("ssl"), ssl.SSLCertVerificationError("self-signed")),
            NetworkFailed,
            Cause.NETWORK,
            "SSL_CERT_FILE",
        ),
        (httpx.ProxyError("407"), NetworkFailed, Cause.NETWORK, "the proxy failed: see HTTPS_PROXY"),
    ],
)
def test_a_failure_of_the_network_becomes_its_consequence(
    raised: Exception, error: type[MaiaError], cause: Cause, says: str
):
    found = mapping.network_failure(raised, tried="list projects", host="eu1.api.example", sent=False)

    assert (type(found), found.cause) == (error, cause)
    assert str(found).startswith("list projects at eu1.api.example: ")
    assert says in str(found)


@pytest.mark.parametrize("raised", [httpx.ReadTimeout(""), httpx.ReadError("")])
def test_what_may_have_been_carried_out_is_said_to_be_in_doubt(raised: Exception):
    sure = mapping.network_failure(raised, tried="start x", host="h", sent=False)
    unsure = mapping.network_failure(raised, tried="start x", host="h", sent=True)

    assert str(unsure) == f"{sure}; it may have been carried out all the same: look before repeating it"


@pytest.mark.parametrize(
    ("body", "said", "hint"),
    [
        (b"<html>\n<b>Sign in</b>", "(answer: <html> <b>Sign in</b>)", "web page"),
        (b"", "(answer: empty)", "is api_url the Maia API"),
        (b"\xff{}", "(answer: \ufffd{})", "is api_url the Maia API"),
        (b"a-secret-token", "(answer: ***)", "is api_url the Maia API"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_shown_in_short(body: bytes, said: str, hint: str):
    found = mapping.bad_answer("not JSON", tried="list x", host="h", body=body, secrets=("a-secret-token",))

    assert isinstance(found, BadAnswer)
    assert found.cause is Cause.DECODE
    assert str(found).startswith(f"list x at h: not JSON {said}; ")
    assert hint in str(found)


def test_a_secret_across_the_cut_of_an_excerpt_does_not_survive_in_half():
    assert "a-sec" not in excerpt("x" * 195 + "a-secret-token", secrets=("a-secret-token",))


def test_a_word_too_short_to_be_a_secret_does_not_riddle_the_text():
    assert excerpt("the demo account", secrets=("demo", "")) == "the demo account"


def test_every_error_of_the_tree_is_drawn_in_its_text():
    from exporter.maia import errors

    def leaves(kind: type[MaiaError]) -> set[str]:
        return {kind.__name__}.union(*(leaves(child) for child in kind.__subclasses__()))

    assert {name for name in leaves(MaiaError) if name not in (errors.__doc__ or "")} == set()
