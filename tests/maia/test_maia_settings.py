"""Credentials never go out in the clear."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.maia import MaiaSettings


def settings(**changes: Any) -> MaiaSettings:
    values: dict[str, Any] = {
        "api_url": "https://eu1.api.example/dpc",
        "token_url": "https://id.example/oauth/dpc/token",
        "client_id": "c",
        "client_secret": "very-secret",
    }
    return MaiaSettings(**(values | changes))


@pytest.mark.parametrize(
    "url",
    [
        "https://eu1.api.example/dpc",
        "http://127.0.0.1:8080/dpc",
        "http://127.9.9.9/dpc",
        "http://[::1]:1/dpc",
        "http://localhost/dpc",
    ],
)
@pytest.mark.parametrize("name", ["api_url", "token_url"])
def test_https_and_loopback_are_taken(name: str, url: str):
    assert getattr(settings(**{name: url}), name) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://eu1.api.example/dpc", "plain http only to a loopback address"),
        ("http://127.0.0.1.example/dpc", "plain http only to a loopback address"),
        ("http://localhost.example/dpc", "plain http only to a loopback address"),
        ("http://0.0.0.0/dpc", "plain http only to a loopback address"),
        ("eu1.api.example/dpc", "not a URL"),
        ("ftp://eu1.api.example/dpc", "not a URL"),
        ("https:///dpc", "not a URL"),
        ("https://eu1.api.example:port/dpc", "not a URL"),
        ("https://[eu1/dpc", "not a URL"),
        ("https://me:hush-hush@eu1.api.example/dpc", "must not carry a user name or password"),
        ("https://eu1.api.example/dpc?key=hush-hush", "must not carry a query"),
        ("https://eu1.api.example/dpc#x", "must not carry a query"),
    ],
)
@pytest.mark.parametrize("name", ["api_url", "token_url"])
def test_other_addresses_are_refused_without_repeating_them(name: str, url: str, reason: str):
    with pytest.raises(ValueError, match=f"^{name}: {reason}") as caught:
        settings(**{name: url})
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"requests_per_minute": 0}, "requests_per_minute: must be at least 1"),
        ({"request_timeout": 0.0}, "request_timeout: must be above 0 seconds"),
        ({"request_timeout": float("nan")}, "request_timeout: must be above 0 seconds"),
    ],
)
def test_numbers_that_would_stop_everything_are_refused(change: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        settings(**change)


def test_the_secret_is_not_shown():
    assert "very-secret" not in repr(settings())
