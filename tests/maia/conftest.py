"""What the tests of the API client share: a clock that moves only when told, a listener, a tiny server on a socket."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exporter.clock import SystemClock
from exporter.maia import MaiaClient, MaiaSettings, Rejection

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "the-client-secret"


class FakeClock:
    """Stands still until somebody waits on it."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        return stop.is_set()


class Heard:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.throttles: list[tuple[str, float]] = []
        self.rejections: list[Rejection] = []
        self.unknown: list[tuple[str, str]] = []
        self.expiries: list[datetime] = []
        self.skews: list[float] = []

    def request_finished(self, endpoint: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((endpoint, code))

    def throttled(self, cause: str, seconds: float) -> None:
        self.throttles.append((cause, seconds))

    def rejected(self, rejection: Rejection) -> None:
        self.rejections.append(rejection)

    def unrecognised(self, field: str, value: str) -> None:
        self.unknown.append((field, value))

    def token_renewed(self, expires_at: datetime) -> None:
        self.expiries.append(expires_at)

    def clock_skew(self, seconds: float) -> None:
        self.skews.append(seconds)


@dataclass
class Asked:
    """A request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Says:
    """An answer; `raw` takes over the connection and writes what it likes."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[http.server.BaseHTTPRequestHandler], None] | None = None


class Server(http.server.ThreadingHTTPServer):
    """Answers calls from a queue of `Says` (the last one stays), token requests from their own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Says] = [Says({"results": []})]
        self.tokens: list[Says] = []
        self.asked: list[Asked] = []
        self.token_requests: list[Asked] = []
        self.connections = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def reply_to(self, asked: Asked) -> Says:
        if asked.path == "/oauth/dpc/token":
            self.token_requests.append(asked)
            if self.tokens:
                return self.tokens.pop(0)
            return Says({"access_token": f"token-number-{len(self.token_requests)}", "expires_in": 1800})
        self.asked.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what many of these tests want."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    server: Server

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        says = self.server.reply_to(Asked(self.command, self.path, dict(self.headers), body))
        if says.raw:
            says.raw(self)
            self.close_connection = True
            return
        content = says.body if isinstance(says.body, bytes) else json.dumps(says.body).encode()
        self.send_response_only(says.status)
        for name, value in ({"Content-Type": "application/json"} | says.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_CONNECT = answer  # noqa: N815 - http.server looks for these names


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def servers() -> Iterator[Callable[[], Server]]:
    with ExitStack() as stack:

        def serve() -> Server:
            server = Server()
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            stack.callback(server.over.set)
            return server

        yield serve


@pytest.fixture
def server(servers: Callable[[], Server]) -> Server:
    return servers()


def settings_for(server: Server, **changes: Any) -> MaiaSettings:
    values: dict[str, Any] = {
        "api_url": f"{server.url}/dpc",
        "token_url": f"{server.url}/oauth/dpc/token",
        "client_id": "the-client",
        "client_secret": SECRET,
        "version": "1.2.3",
    }
    return MaiaSettings(**(values | changes))


@pytest.fixture
def connect(server: Server, heard: Heard, stop: threading.Event) -> Iterator[Callable[..., MaiaClient]]:
    """A client of `server`; keywords change its settings, `clock` its time (the machine's, unless told)."""
    with ExitStack() as stack:

        def make(*, clock: Any = None, **changes: Any) -> MaiaClient:
            settings = settings_for(server, **changes)
            client = MaiaClient(settings, clock=clock or SystemClock(), stop=stop, watcher=heard)
            return stack.enter_context(client)

        yield make
