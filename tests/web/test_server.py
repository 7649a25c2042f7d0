"""Starting and stopping."""

import asyncio
import signal
import socket
import threading
from time import perf_counter

import httpx
import pytest

from exporter.web.server import CannotListen, WebServer

from .serving import SCRAPE, Service


class Nothing:
    """An app without a word."""

    shortcuts = {}  # noqa: RUF012 - nobody changes it

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


class Endless(Nothing):
    """An app that never answers."""

    def __init__(self):
        self.begun = threading.Event()

    async def __call__(self, scope, receive, send):
        self.begun.set()
        await asyncio.Event().wait()


def test_port_0_takes_any_free_port_and_tells_which():
    server = WebServer("127.0.0.1", 0, app=Nothing())
    assert not server.alive
    server.start()
    assert server.port > 0
    assert server.alive
    assert httpx.get(f"http://127.0.0.1:{server.port}/").status_code == 204
    server.stop()
    assert not server.alive
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{server.port}/")


def test_a_port_that_is_taken_is_a_clear_error_before_any_thread_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = WebServer("127.0.0.1", port, app=Nothing())
        threads = threading.active_count()
        with pytest.raises(
            CannotListen, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use; .*\[web\]"
        ):
            server.start()
        assert threading.active_count() == threads
        assert not server.alive
        server.stop()


def test_a_host_that_is_not_ours_is_a_clear_error():
    with pytest.raises(CannotListen, match=r"cannot listen on no-such-host\.invalid:1"):
        WebServer("no-such-host.invalid", 1, app=Nothing()).start()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_ipv6_addresses_are_all_ipv4_addresses_too():
    server = WebServer("::", 0, app=Nothing())
    server.start()
    try:
        assert httpx.get(f"http://[::1]:{server.port}/").status_code == 204
        assert httpx.get(f"http://127.0.0.1:{server.port}/").status_code == 204
    finally:
        server.stop()


def test_signals_are_left_to_the_main_thread():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with Service():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


STAYING = [
    ([], 20, "silent"),
    ([SCRAPE], 20, "idle"),
    ([b"GET /metrics HT"], 20, "half-sent"),
    ([SCRAPE.replace(b"gzip", b"identity") * 5], 5, "reading nothing"),
]


@pytest.mark.parametrize(("sent", "number", "reason"), STAYING)
def test_a_stop_takes_less_than_two_seconds_whoever_stays(sent, number, reason):
    with Service(number=3_000) as service:
        clients = [service.connected(*sent, receive_buffer=4_096) for _ in range(number)]
        for client in clients:
            client.__enter__()
        assert httpx.get(f"{service.url}/-/healthy").status_code == 200
        started = perf_counter()
        service.server.stop()
        assert perf_counter() - started < 2, reason
        assert not service.server.alive, reason
        for client in clients:
            client.__exit__(None, None, None)


def test_a_stop_in_the_middle_of_an_answer_that_never_ends_takes_less_than_two_seconds():
    endless = Endless()
    server = WebServer("127.0.0.1", 0, app=endless)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(SCRAPE)
        assert endless.begun.wait(5)
        started = perf_counter()
        server.stop()
        assert perf_counter() - started < 2
        assert not server.alive


def test_a_stop_without_time_says_that_it_is_not_over(caplog):
    server = WebServer("127.0.0.1", 0, app=Nothing())
    server.start()
    assert httpx.get(f"http://127.0.0.1:{server.port}/").status_code == 204
    server.stop(timeout=0)
    assert "has not ended within" in caplog.text
    server.stop()
    assert not server.alive


def test_a_thread_that_fails_is_not_alive_and_has_said_why(caplog):
    class Broken:
        def run(self, sockets):
            raise RuntimeError("the loop is broken")

    server = WebServer("127.0.0.1", 0, app=Nothing())
    server._server = Broken()
    server.start()
    server._thread.join(5)
    assert not server.alive
    assert "the loop is broken" in caplog.text
    server.stop()


def test_stopping_what_was_never_started_does_nothing():
    WebServer("127.0.0.1", 0, app=Nothing()).stop()
