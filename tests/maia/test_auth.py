"""Signing in, driven by hand: the flow does no I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from exporter.maia import MaiaSettings
from exporter.maia.auth import ClientCredentials
from exporter.maia.errors import BadAnswer, Cause, MaiaError, RateLimited, Refused, ServerFailed, Unauthorized

from .conftest import SECRET, START, FakeClock

SETTINGS = MaiaSettings(
    api_url="https://eu1.api.example/dpc",
    token_url="https://id.example/oauth/dpc/token",
    client_id="the-client",
    client_secret=SECRET,
    version="1.2.3",
)


class Signing:
    """One exchange, step by step."""

    def __init__(self, auth: ClientCredentials) -> None:
        self.request = httpx.Request("GET", "https://eu1.api.example/dpc/v1/projects")
        self.flow = auth.auth_flow(self.request)
        self.outgoing: httpx.Request | None = next(self.flow)

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        assert self.outgoing is not None
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        response = httpx.Response(status, request=self.outgoing, headers=headers, **content)
        try:
            self.outgoing = self.flow.send(response)
        except StopIteration:
            self.outgoing = None

    @property
    def bearer(self) -> str:
        assert self.outgoing is self.request
        return self.outgoing.headers["Authorization"]

    @property
    def asks_for_a_token(self) -> bool:
        return self.outgoing is not None and self.outgoing.url == SETTINGS.token_url


def token(number: int, **changes: Any) -> dict[str, Any]:
    return {"access_token": f"token-number-{number}", "token_type": "Bearer", "expires_in": 1800} | changes


@pytest.fixture
def auth(clock: FakeClock) -> ClientCredentials:
    return ClientCredentials(SETTINGS, clock=clock)


def sign_in(auth: ClientCredentials, body: Any) -> None:
    signing = Signing(auth)
    assert signing.asks_for_a_token
    signing.answer(200, body)
    assert signing.bearer == f"Bearer {body['access_token']}"
    signing.answer(200, {})
    assert signing.outgoing is None


def test_the_token_request_is_the_documented_one(auth: ClientCredentials):
    outgoing = Signing(auth).outgoing

    assert outgoing is not None
    assert (outgoing.method, str(outgoing.url)) == ("POST", SETTINGS.token_url)
    assert outgoing.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert outgoing.headers["User-Agent"] == "maia-exporter/1.2.3"
    assert parse_qs(outgoing.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-client"],
        "client_secret": [SECRET],
        "audience": ["https://api.matillion.com"],
    }


@pytest.mark.parametrize(
    ("life", "renewed_after", "why"),
    [
        ({}, 1500, "five minutes before the end"),
        ({"expires_in": 60}, 30, "half of a short life"),
        ({"expires_in": "1800"}, 1500, "a number as a text"),
        ({"expires_in": None}, 1500, "no number: the documented life"),
        ({"expires_in": "NaN"}, 1500, "no number either"),
        ({"expires_in": -5}, 0, "already over: good for this one exchange"),
        ({"expires_in": 1e300}, 86_100, "nobody trusts a token for ever"),
    ],
)
def test_a_token_is_kept_until_shortly_before_its_end(
    auth: ClientCredentials, clock: FakeClock, life: dict[str, Any], renewed_after: float, why: str
):
    sign_in(auth, token(1, **life))

    if renewed_after:
        clock.seconds += renewed_after - 0.5
        assert Signing(auth).bearer == "Bearer token-number-1", why
        clock.seconds += 0.5
    assert Signing(auth).asks_for_a_token, why


def test_the_expiry_is_told_and_kept(clock: FakeClock):
    told: list[Any] = []
    auth = ClientCredentials(SETTINGS, clock=clock, on_renewed=told.append)
    assert auth.expires_at is None

    sign_in(auth, token(1))

    assert told == [auth.expires_at] == [START + timedelta(seconds=1800)]


def test_a_token_that_died_early_is_renewed_once(auth: ClientCredentials):
    sign_in(auth, token(1))

    signing = Signing(auth)
    signing.answer(401)
    assert signing.asks_for_a_token
    signing.answer(200, token(2))
    assert signing.bearer == "Bearer token-number-2"
    signing.answer(401)
    assert signing.outgoing is None


def test_a_token_that_was_just_fetched_is_not_fetched_again(auth: ClientCredentials):
    signing = Signing(auth)
    signing.answer(200, token(1))
    signing.answer(401)

    assert signing.outgoing is None


def test_a_token_that_another_thread_has_renewed_meanwhile_is_used(auth: ClientCredentials, clock: FakeClock):
    sign_in(auth, token(1))
    slow = Signing(auth)
    clock.seconds += 1500
    sign_in(auth, token(2))

    slow.answer(401)

    assert slow.bearer == "Bearer token-number-2"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"error": "invalid_client"}, Unauthorized),
        (400, {"error": "invalid_client", "error_description": "Client not found"}, Unauthorized),
        (403, {"error": "access_denied"}, Unauthorized),
        (404, {}, Unauthorized),  # never NotFound: a wrong token_url must not make a run look gone
        (410, {}, Unauthorized),
        (409, b"<html>", Unauthorized),
        (429, {}, RateLimited),
        (500, {}, ServerFailed),
        (503, b"<html>down</html>", ServerFailed),
        (302, b"", Refused),  # to a sign-in page, say
        (200, b"<html>sign in</html>", BadAnswer),
        (200, [], BadAnswer),
        (200, {"token": "x"}, BadAnswer),
        (200, {"access_token": None}, BadAnswer),
        (200, {"access_token": "two\nlines"}, BadAnswer),  # would smuggle a header
        (200, {"access_token": "töken"}, BadAnswer),
    ],
)
def test_a_sign_in_that_gives_no_token_says_so(auth: ClientCredentials, status: int, body: Any, error: type[MaiaError]):
    signing = Signing(auth)

    with pytest.raises(error, match=r"^sign in at id\.example: ") as caught:
        signing.answer(status, body, location="https://login.example/")
    assert type(caught.value) is error
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (404, {}, "check token_url"),
        (405, {}, "check token_url"),
        (403, b"<html>blocked</html>", "the answer is a web page"),
        (403, {}, "check client_id and client_secret"),
    ],
)
def test_a_refused_sign_in_says_what_to_check(auth: ClientCredentials, status: int, body: Any, hint: str):
    with pytest.raises(Unauthorized, match=hint):
        Signing(auth).answer(status, body)


def test_wrong_credentials_come_with_the_servers_words_and_a_hint(auth: ClientCredentials):
    with pytest.raises(Unauthorized) as caught:
        Signing(auth).answer(400, {"error": "invalid_client", "error_description": "Client not found"})

    assert str(caught.value) == (
        "sign in at id.example: HTTP 400 (invalid_client: Client not found); "
        "check client_id and client_secret, and that the region is the account's own"
    )
    assert caught.value.cause is Cause.AUTH


def test_a_sign_in_that_echoes_the_secret_does_not_spread_it(auth: ClientCredentials):
    with pytest.raises(Unauthorized) as caught:
        Signing(auth).answer(401, {"error": f"no client with {SECRET}"})

    assert "no client with ***" in str(caught.value)


def test_a_token_under_another_name_does_not_show(auth: ClientCredentials):
    with pytest.raises(BadAnswer) as caught:
        Signing(auth).answer(200, {"accessToken": "a-real-token-in-the-wrong-place"})

    assert "a-real-token" not in str(caught.value)


def test_nothing_about_the_sign_in_shows_a_secret(auth: ClientCredentials):
    sign_in(auth, token(1))

    assert SECRET not in repr(SETTINGS)
    assert "token-number-1" not in repr(auth) + repr(auth.__dict__)
