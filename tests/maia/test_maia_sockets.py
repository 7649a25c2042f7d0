"""Servers that drip, hang, flood, hang up or point elsewhere, over real sockets."""

from __future__ import annotations

import gzip
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from exporter.clock import SystemClock
from exporter.maia import MaiaClient, RunQuery, network
from exporter.maia.errors import BadAnswer, MaiaError, NetworkFailed, Refused, Stopped, TimedOut
from exporter.maia.network import MAX_BODY

from .conftest import FakeClock, Heard, Says, Server

Connect = Callable[..., MaiaClient]
Raw = http.server.BaseHTTPRequestHandler

DATA = Path(__file__).parent / "data"
RUNS = "/v1/pipeline-executions"
FOUND = Says({"results": []})


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Real time, with room for a busy machine: what is tested would otherwise take ten times as long or for ever."""
    started = time.perf_counter()
    yield
    assert time.perf_counter() - started < seconds


def drip(*, first: bytes, then: bytes = b" ") -> Says:
    def raw(handler: Raw) -> None:
        over = handler.server.over  # type: ignore[attr-defined]
        handler.wfile.write(first)
        while not over.wait(0.05):
            handler.wfile.write(then)
            handler.wfile.flush()

    return Says(raw=raw)


def silence(handler: Raw) -> None:
    handler.server.over.wait(60)  # type: ignore[attr-defined]


def hang_up(handler: Raw) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


IN_THE_STATUS_LINE = drip(first=b"HTTP/1.1 2", then=b"0")
IN_THE_HEADERS = drip(first=b"HTTP/1.1 200 OK\r\nX-Long: ", then=b"x")
IN_THE_BODY = drip(first=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{")
NEVER = Says(raw=silence)


@pytest.mark.parametrize(
    "says",
    [IN_THE_STATUS_LINE, IN_THE_HEADERS, IN_THE_BODY, NEVER],
    ids=["status line", "headers", "body", "silence"],
)
@pytest.mark.parametrize("token", [False, True], ids=["answer", "token"])
def test_an_answer_that_never_ends_is_over_at_the_deadline(
    connect: Connect, server: Server, heard: Heard, says: Says, token: bool
):
    server.answers = [says]
    server.tokens = [says] if token else []
    client = connect()

    with within(5), client.deadline(0.5), pytest.raises(TimedOut, match="no whole answer in time"):
        client.list_runs(RunQuery())
    assert heard.requests[-1] == ("/oauth/dpc/token" if token else RUNS, "timeout")


@pytest.mark.parametrize("says", [IN_THE_HEADERS, IN_THE_BODY, NEVER], ids=["headers", "body", "silence"])
def test_without_a_deadline_an_answer_is_over_after_the_request_timeout(connect: Connect, server: Server, says: Says):
    server.answers = [says]

    with within(5), pytest.raises(TimedOut):
        connect(request_timeout=0.5).list_runs(RunQuery())
    assert len(server.asked) == 1  # a read that timed out is not repeated


def test_silence_is_over_after_the_request_timeout_even_if_the_clock_stands_still(
    connect: Connect, server: Server, clock: FakeClock
):
    server.answers = [NEVER]

    with within(5), pytest.raises(TimedOut):
        connect(clock=clock, request_timeout=0.5).list_runs(RunQuery())


@pytest.mark.parametrize("says", [IN_THE_HEADERS, IN_THE_BODY, NEVER], ids=["headers", "body", "silence"])
def test_a_stop_ends_a_request_in_the_middle(
    connect: Connect, server: Server, heard: Heard, stop: threading.Event, says: Says
):
    server.answers = [says]
    client = connect()
    timer = threading.Timer(0.3, stop.set)
    timer.start()

    with within(5), pytest.raises(Stopped):
        client.list_runs(RunQuery())
    timer.join()
    assert [endpoint for endpoint, _ in heard.requests] == ["/oauth/dpc/token"]  # a stop is no failure


def test_a_stop_ends_a_wait_for_the_budget(connect: Connect, stop: threading.Event):
    client = connect(requests_per_minute=1)
    client.list_runs(RunQuery())
    timer = threading.Timer(0.2, stop.set)
    timer.start()

    with within(5), pytest.raises(Stopped):
        client.list_runs(RunQuery())
    timer.join()


def test_a_deadline_that_has_passed_asks_nothing(connect: Connect, server: Server):
    client = connect()
    client.list_runs(RunQuery())

    with client.deadline(0), pytest.raises(TimedOut):
        client.list_runs(RunQuery())
    assert len(server.asked) == 1


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("PATCH", False)])
def test_a_read_on_a_connection_that_the_server_has_dropped_is_repeated_at_once(
    connect: Connect, server: Server, method: str, repeated: bool
):
    client = connect()
    client.list_runs(RunQuery())
    server.answers = [Says(raw=hang_up), FOUND]

    if repeated:
        client.list_runs(RunQuery())
    else:
        with pytest.raises(NetworkFailed, match="it may have been carried out all the same"):
            client.cancel("p", "r", force=False)
    assert len(server.asked) == (3 if repeated else 2)


def test_the_repeat_takes_from_the_budget_too(connect: Connect, server: Server, clock: FakeClock, heard: Heard):
    client = connect(clock=clock, requests_per_minute=8)
    client.list_runs(RunQuery())
    server.answers = [Says(raw=hang_up), FOUND]

    client.list_runs(RunQuery())

    assert [cause for cause, _ in heard.throttles] == ["budget"]


def test_a_read_on_a_fresh_connection_is_not_repeated(connect: Connect, server: Server, heard: Heard):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def reset() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        client = connect(api_url=f"http://127.0.0.1:{port}/dpc")
        with pytest.raises(NetworkFailed):
            client.list_runs(RunQuery())
        thread.join()
    assert heard.requests == [("/oauth/dpc/token", "200"), (RUNS, "network")]


def test_a_connection_is_kept_from_call_to_call(connect: Connect, server: Server):
    client = connect()
    for _ in range(5):
        client.list_runs(RunQuery())

    assert server.connections == 1


def test_an_address_where_nothing_listens_is_a_network_failure(connect: Connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NetworkFailed, match="nothing listens there"):
        connect(token_url=f"http://127.0.0.1:{port}/oauth/dpc/token").projects()


def test_a_name_that_does_not_resolve_is_a_network_failure(connect: Connect):
    with pytest.raises(NetworkFailed, match="the host's name does not resolve"):
        connect(token_url=f"https://{'x' * 64}.example/oauth/dpc/token").projects()  # no label is that long


def test_a_redirect_is_not_followed_and_its_host_is_named(
    connect: Connect, server: Server, servers: Callable[[], Server]
):
    elsewhere = servers()
    server.answers = [Says(status=307, headers={"Location": f"{elsewhere.url}/dpc?secret=x"})]

    with pytest.raises(Refused, match=r"redirects are not followed \(to 127\.0\.0\.1\)"):
        connect().list_runs(RunQuery())
    assert elsewhere.asked == []


# Bodies


def test_a_compressed_answer_is_read(connect: Connect, server: Server):
    server.answers = [Says(gzip.compress(b'{"results": [], "more": "m"}'), headers={"Content-Encoding": "gzip"})]

    assert connect().list_runs(RunQuery()).more == "m"


def flood(handler: Raw) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        handler.wfile.write(b" " * 65536)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (Says(raw=flood), "the answer is larger than"),  # without an end
        (
            Says(gzip.compress(b" " * (MAX_BODY + 1)), headers={"Content-Encoding": "gzip"}),
            "the answer is larger than",
        ),
        (
            Says(gzip.compress(gzip.compress(b" " * 2**20)), headers={"Content-Encoding": "gzip, gzip"}),
            "an encoding that was not asked for",
        ),
        (Says(b"x", headers={"Content-Encoding": "br"}), "an encoding that was not asked for"),
        (Says(b"no gzip", headers={"Content-Encoding": "gzip"}), "broken compression"),
        (
            Says(gzip.compress(b'{"results": []}')[:-9], headers={"Content-Encoding": "gzip"}),
            "the compressed answer ends too early",
        ),
    ],
    ids=["flood", "bomb", "bomb in a bomb", "brotli", "broken", "cut"],
)
def test_a_body_that_cannot_be_taken_is_refused(
    connect: Connect, server: Server, heard: Heard, says: Says, reason: str
):
    server.answers = [says]

    with pytest.raises(BadAnswer, match=reason):
        connect().list_runs(RunQuery())
    assert heard.requests[-1] == (RUNS, "decode")


def test_the_largest_answer_is_taken(connect: Connect, server: Server):
    body = b'{"results": []}'
    server.answers = [Says(gzip.compress(body + b" " * (MAX_BODY - len(body))), headers={"Content-Encoding": "gzip"})]

    assert connect().list_runs(RunQuery()).runs == ()


def test_an_answer_that_breaks_off_is_a_network_failure(connect: Connect, server: Server):
    def broken(handler: Raw) -> None:
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"results": []}')

    server.answers = [Says(raw=broken)]
    client = connect(api_url=f"http://localhost:{server.server_port}/dpc")  # another host: a connection of its own

    with pytest.raises(NetworkFailed):
        client.list_runs(RunQuery())


# Proxies and TLS


def test_this_machine_is_never_asked_through_a_proxy(connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    connect().list_runs(RunQuery())
    connect(api_url=f"http://localhost:{server.server_port}/dpc").list_runs(RunQuery())
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("says", "error", "hint"),
    [
        (Says(b"<html>", status=407), NetworkFailed, "the proxy failed: see HTTPS_PROXY"),
        (IN_THE_HEADERS, TimedOut, "no whole answer in time"),
    ],
    ids=["refuses", "drips"],
)
def test_a_proxy_from_the_environment_is_used_and_bounded(
    connect: Connect,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    says: Says,
    error: type[MaiaError],
    hint: str,
):
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    server.answers = [says]
    client = connect(token_url="https://id.example/oauth/dpc/token")

    with within(5), client.deadline(0.5), pytest.raises(error, match=hint):
        client.projects()
    assert [(asked.method, asked.path) for asked in server.asked] == [("CONNECT", "id.example:443")]


@pytest.mark.parametrize("proxy", ["gopher://me:hush-hush@proxy.example", "socks5://me:hush-hush@proxy.example"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, proxy: str
):
    monkeypatch.setenv("ALL_PROXY", proxy)

    with pytest.raises(NetworkFailed, match="a proxy named in the environment cannot be used") as caught:
        connect()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "hush-hush" not in str(caught.value)


@pytest.fixture
def tls(server: Server) -> Server:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(DATA / "loopback-cert.pem", DATA / "loopback-key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def test_https_is_spoken_and_bounded(connect: Connect, tls: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(DATA / "loopback-cert.pem"))
    address = f"https://127.0.0.1:{tls.server_port}"
    client = connect(api_url=f"{address}/dpc", token_url=f"{address}/oauth/dpc/token")

    client.list_runs(RunQuery())
    tls.answers = [IN_THE_HEADERS]
    with within(5), client.deadline(0.5), pytest.raises(TimedOut):
        client.list_runs(RunQuery())


def test_a_certificate_that_nobody_vouches_for_is_refused_with_a_hint(connect: Connect, tls: Server):
    with pytest.raises(NetworkFailed, match="SSL_CERT_FILE"):
        connect(token_url=f"https://127.0.0.1:{tls.server_port}/oauth/dpc/token").projects()


# The bounds alone


class Lines(httpcore.NetworkBackend):
    """Addresses that do not answer, until one does."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.timeouts: list[float | None] = []

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any) -> httpcore.NetworkStream:
        self.timeouts.append(timeout)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def bounds(clock: FakeClock, stop: threading.Event) -> network.Bounds:
    bounds = network.Bounds(clock, stop)
    bounds.ends_at = clock.seconds + 9
    return bounds


def bounded(lines: Lines, bounds: network.Bounds) -> httpcore.NetworkBackend:
    return network._BoundedBackend(lines, bounds, resolve=lambda host, port: ["192.0.2.1", "192.0.2.2", "192.0.2.3"])


def test_the_addresses_of_a_host_share_the_time(bounds: network.Bounds):
    lines = Lines(httpcore.ConnectTimeout("slow"), httpcore.ConnectError("refused"), httpcore.NetworkStream())

    bounded(lines, bounds).connect_tcp("eu1.api.example", 443, timeout=6)

    assert lines.timeouts == [2, 3, 6]
    assert bounds.connections == 1


def test_when_no_address_answers_the_last_failure_counts(bounds: network.Bounds):
    lines = Lines(httpcore.ConnectTimeout("a"), httpcore.ConnectTimeout("b"), httpcore.ConnectError("c"))

    with pytest.raises(httpcore.ConnectError, match="c"):
        bounded(lines, bounds).connect_tcp("eu1.api.example", 443)
    assert lines.timeouts == [3, 4.5, 9]  # without a timeout of its own, what is left


def test_no_address_is_tried_after_the_deadline(bounds: network.Bounds, clock: FakeClock):
    clock.seconds += 9

    with pytest.raises(httpcore.ConnectTimeout):
        bounded(Lines(), bounds).connect_tcp("eu1.api.example", 443)


def test_a_name_without_an_address_is_said_to_have_none(bounds: network.Bounds):
    backend = network._BoundedBackend(Lines(), bounds, resolve=lambda host, port: [])

    with pytest.raises(httpcore.ConnectError, match="no address"):
        backend.connect_tcp("eu1.api.example", 443)


def test_a_stranger_among_the_transports_is_left_alone(bounds: network.Bounds):
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        network.bound(client, bounds)
        assert client.get("http://127.0.0.1/").status_code == 200


def test_a_read_without_a_timeout_is_bounded_all_the_same(stop: threading.Event):
    here, there = socket.socketpair()
    with here, there, socket.create_server(("127.0.0.1", 0)) as listener:
        bounds = network.Bounds(SystemClock(), stop)
        bounds.ends_at = time.perf_counter() + 10
        backend = network._BoundedBackend(httpcore.SyncBackend(), bounds)
        stream = backend.connect_tcp("127.0.0.1", listener.getsockname()[1])
        try:
            bounds.ends_at = SystemClock().monotonic() + 0.3
            with within(5), pytest.raises(httpcore.ReadTimeout):
                stream.read(1)
        finally:
            stream.close()
