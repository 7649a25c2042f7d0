"""Targets, certificates, a clock that moves only when told."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from store.conftest import database, empty_file, file, server, url  # noqa: F401 - fixtures

from exporter import apprise_channel

from .targets import OK, Answer, HttpTarget, MailTarget


@pytest.fixture(scope="session", autouse=True)
def _apprise_is_loaded() -> None:
    """Its 180 plug-ins import what Python deprecates; that is theirs to mend, and once they are loaded it is past."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert apprise_channel.room("json://localhost/")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    """A server's TLS context for a host name."""

    def make(host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        return context

    return make


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """This process trusts the authority, as an operator would make it: through the environment."""
    bundle = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    return bundle


@pytest.fixture
def web_hook() -> Iterator[Callable[..., HttpTarget]]:
    """Makes web hooks."""
    with ExitStack() as stack:

        def make(answer: Answer | Callable[..., Answer] = OK) -> HttpTarget:
            target = HttpTarget(answer)
            stack.callback(target.stop)
            return target

        yield make


@pytest.fixture
def slack(
    server_tls: Callable[[str], ssl.SSLContext], trusted: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HttpTarget]:
    """Answers for hooks.slack.com and slack.com, so that config and code are those of production."""
    del trusted
    target = HttpTarget(tls=server_tls("hooks.slack.com"))
    monkeypatch.setenv("HTTPS_PROXY", target.proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    yield target
    target.stop()


@pytest.fixture
def mail_server() -> Iterator[Callable[..., MailTarget]]:
    """Makes mail servers."""
    with ExitStack() as stack:

        def make(**options: object) -> MailTarget:
            target = MailTarget(**options)  # type: ignore[arg-type]
            stack.callback(target.stop)
            return target

        yield make
