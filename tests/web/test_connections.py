"""Clients that are silent, drip or do not read."""

import contextlib

import httpx
import pytest

from exporter.web.connections import Patience

from .serving import SCRAPE, Service, all_until_closed, answer

SHORT = {"request": 0.3, "answer": 0.6, "idle": 0.6, "look_every": 0.05}


@contextlib.contextmanager
def stalled(service, number, *sent):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(service.connected(*sent)) for _ in range(number)]


STALLS = [
    ([], "silent"),
    ([b"GET /metrics HT"], "half a line"),
    ([b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Drip: "], "half a header"),
    ([SCRAPE], "idle after a scrape"),
    ([b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"], "no body"),
]


@pytest.mark.parametrize(("sent", "reason"), STALLS)
def test_a_scrape_is_answered_beside_200_stalled_connections(service, sent, reason):
    with stalled(service, 200, *sent):
        assert httpx.get(f"{service.url}/metrics", timeout=2).status_code == 200, reason


PATIENCE = [
    ([], "silent: nothing comes for the whole time"),
    ([b"GET /metrics HTTP/1.1\r\nX: "], "half a header"),
    ([b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"], "a body that does not come"),
    ([SCRAPE], "idle"),
    ([SCRAPE, b"GET /metr"], "half a second request"),
    ([b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n"], "idle after an answer of the app"),
]


@pytest.mark.parametrize(("sent", "reason"), PATIENCE)
def test_patience_ends(sent, reason):
    with Service(patience=Patience(**SHORT)) as service, service.connected(*sent) as client:
        all_until_closed(client)  # would run into the client's own timeout


@pytest.mark.parametrize("first", [SCRAPE, b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_second_request_has_no_more_time_than_the_first(first):
    patience = Patience(**SHORT | {"idle": 60, "answer": 60})
    with Service(patience=patience) as service, service.connected(first + b"GET /metr") as client:
        all_until_closed(client)


def test_a_connection_that_drips_is_closed_all_the_same():
    with Service(patience=Patience(**SHORT)) as service, service.connected(b"GET /metrics HTTP/1.1\r\nX: ") as client:
        client.settimeout(0.02)
        dripped = 0
        with contextlib.suppress(ConnectionError):
            while dripped < 500:
                client.sendall(b"x")
                dripped += 1
                with contextlib.suppress(TimeoutError):
                    if client.recv(1) == b"":
                        break
        assert dripped < 100


def test_a_body_that_drips_after_its_answer_is_closed_all_the_same():
    request = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"
    with Service(patience=Patience(**SHORT)) as service, service.connected(request) as client:
        assert answer(client)[0].startswith("HTTP/1.1 405")
        client.settimeout(0.02)
        dripped = 0
        with contextlib.suppress(ConnectionError):
            while dripped < 500:
                client.sendall(b"x")
                dripped += 1
                with contextlib.suppress(TimeoutError):
                    if client.recv(1) == b"":
                        break
        assert dripped < 100


def test_a_connection_in_use_is_kept_longer_than_any_patience():
    with Service(patience=Patience(**SHORT)) as service, service.connected() as client:
        client.settimeout(0.1)
        for _ in range(12):
            client.sendall(SCRAPE)
            assert answer(client)[0] == "HTTP/1.1 200 OK"
            with pytest.raises(TimeoutError):
                client.recv(1)


def test_readers_that_stall_do_not_hold_others_up_and_are_let_go():
    with (
        Service(number=3_000, patience=Patience(**SHORT)) as service,
        contextlib.ExitStack() as stack,
    ):
        request = SCRAPE.replace(b"gzip", b"identity") * 3
        clients = [stack.enter_context(service.connected(request, receive_buffer=4_096)) for _ in range(20)]
        assert httpx.get(f"{service.url}/metrics", timeout=2).status_code == 200
        with service.connected() as other:  # as long as the stalled ones may take
            other.settimeout(10)
            assert other.recv(1) == b""
        expected = 3 * len(service.exposition.page("", "").body)
        assert all(len(all_until_closed(client)) < expected for client in clients)
        assert httpx.get(f"{service.url}/metrics", timeout=2).status_code == 200


def test_a_slow_reader_that_goes_on_reading_gets_everything(service):
    with service.connected(SCRAPE, receive_buffer=4_096) as client:
        _, headers, body = answer(client)
        assert len(body) == int(headers["content-length"])


def test_the_longest_waiting_connection_makes_room_for_a_new_one():
    with Service(patience=Patience(connections=5)) as service, stalled(service, 5) as clients:
        assert httpx.get(f"{service.url}/metrics", timeout=2).status_code == 200
        assert clients[0].recv(1) == b""
        clients[4].sendall(SCRAPE)
        assert answer(clients[4])[0] == "HTTP/1.1 200 OK"


def test_a_header_without_end_is_not_kept_in_memory(service):
    with service.connected(b"GET /metrics HTTP/1.1\r\n") as client:
        client.settimeout(5)  # less than the patience with a request
        with contextlib.suppress(ConnectionError):
            for _ in range(1_000):
                client.sendall(b"X-Long: " + b"x" * 1_000 + b"\r\n")
        all_until_closed(client)


def test_answers_to_requests_sent_ahead_wait_for_the_client_to_read():
    with Service(number=3_000) as service:
        page = len(service.exposition.page("", "").body)
        requests = SCRAPE.replace(b"gzip", b"identity") * 200
        with service.connected(requests, receive_buffer=4_096):
            assert httpx.get(f"{service.url}/metrics").status_code == 200
            waiting = [member.transport.get_write_buffer_size() for member in service.server._server._crowd._members]
            assert 0 < max(waiting) < 3 * page


def test_many_requests_ahead_are_no_header_without_end(service):
    with service.connected(SCRAPE * 2_000) as client:
        for _ in range(2_000):
            assert answer(client)[0] == "HTTP/1.1 200 OK"
