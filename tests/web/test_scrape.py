"""Scraping over real sockets."""

import gzip
import http.client
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from exporter.metrics.formats import Format

from .serving import SCRAPE, Service, answer


def test_a_scrape_gets_the_page_as_text(shared):
    got = httpx.get(f"{shared.url}/metrics", headers={"accept-encoding": "identity"})
    assert got.status_code == 200
    assert got.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in got.headers
    assert got.content == shared.exposition.page("", "").body
    assert "maia_pipeline_info" in got.text


def test_a_scrape_of_prometheus_gets_zipped_openmetrics(shared):
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    got = httpx.get(f"{shared.url}/metrics", headers={"accept": accept, "accept-encoding": "gzip"})
    assert got.headers["content-type"] == Format.OPENMETRICS.value
    assert got.headers["content-encoding"] == "gzip"
    assert got.headers["vary"] == "Accept, Accept-Encoding"
    assert got.text.endswith("# EOF\n")


def test_headers_may_come_in_several_lines(shared):
    lines = [("Accept", "text/html"), ("Accept", "application/openmetrics-text"), ("Accept-Encoding", "br, gzip;q=0")]
    got = httpx.get(f"{shared.url}/metrics", headers=lines)
    assert got.headers["content-type"] == Format.OPENMETRICS.value
    assert "content-encoding" not in got.headers


PLAIN = ["GET", "/metrics", "HTTP/1.1"]
NOT_PLAIN = [
    (["HEAD", "/metrics", "HTTP/1.1"], b"", "HEAD"),
    (["GET", "/metrics", "HTTP/1.0"], b"", "HTTP/1.0"),
    (["GET", "/metrics?x=1", "HTTP/1.1"], b"", "a query"),
    (["GET", "/%6detrics", "HTTP/1.1"], b"", "an escape in the path"),
    (["GET", "http://x/metrics", "HTTP/1.1"], b"", "a whole URL"),
    (["GET", "/metrics", "HTTP/1.1"], b"Connection: close\r\n", "the last request"),
    (["GET", "/metrics", "HTTP/1.1"], b"Content-Length: 2\r\n", "a body"),
    (["GET", "/metrics", "HTTP/1.1"], b"Connection: upgrade\r\nUpgrade: h2c\r\n", "another protocol"),
]


@pytest.mark.parametrize(("line", "headers", "reason"), NOT_PLAIN)
def test_a_request_that_is_not_quite_plain_gets_the_same_answer(shared, line, headers, reason):
    def ask(line, headers):
        request = " ".join(line).encode() + b"\r\nHost: x\r\nAccept-Encoding: gzip\r\n" + headers + b"\r\n"
        with shared.connected(request) as client:
            if line[0] != "HEAD":
                return answer(client)
            client.sendall(SCRAPE)  # its answer follows at once: HEAD has sent no body
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            fields = (field.partition(": ") for field in head.decode().split("\r\n")[1:-2])
            status, _, body = answer(client)
            return status, {name.lower(): text for name, _, text in fields}, body

    plain, other = ask(PLAIN, b""), ask(line, headers)
    for _, fields, _ in (plain, other):
        assert fields.pop("date"), reason
        assert "server" not in fields
    assert other[1].pop("connection", "close") == "close"
    assert other == plain, reason


LAST = [b"GET /metrics HTTP/1.0\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize("request_", LAST)
def test_a_connection_ends_with_the_answer_to_its_last_request(shared, request_):
    with shared.connected(request_) as client:
        assert answer(client)[0] == "HTTP/1.1 200 OK"
        assert client.recv(1) == b""


def test_the_body_of_a_scrape_is_read_over(shared):
    with shared.connected(b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n") as client:
        assert answer(client)[0] == "HTTP/1.1 200 OK"
        client.sendall(b"hello" + SCRAPE)
        assert answer(client)[0] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused_and_the_connection_goes_on(shared, method):
    client = http.client.HTTPConnection("127.0.0.1", shared.server.port, timeout=10)
    client.request(method, "/metrics", body=b"x" * 1000)
    got = client.getresponse()
    assert (got.status, got.headers["allow"]) == (405, "GET, HEAD")
    assert got.read()
    client.request("GET", "/metrics")
    assert client.getresponse().status == 200
    client.close()


def test_one_connection_serves_many_scrapes(shared):
    with shared.connected() as client:
        for _ in range(50):
            client.sendall(SCRAPE)
            status, _, body = answer(client)
            assert status == "HTTP/1.1 200 OK"
            assert gzip.decompress(body) == shared.exposition.page("", "").body


ORDER = [b"/metrics", b"/nothing", b"/-/ready", b"/metrics", b"/-/healthy", b"/api/v1/status", b"/metrics", b"/metrics"]


def test_requests_sent_ahead_are_answered_in_their_order(shared):
    requests = [b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in ORDER]
    with shared.connected(b"".join(requests)) as client:
        answers = [answer(client) for _ in ORDER]
    types = [headers["content-type"].partition(";")[0] for _, headers, _ in answers]
    assert [b"# HELP" in body for _, _, body in answers] == [path == b"/metrics" for path in ORDER]
    assert types[ORDER.index(b"/api/v1/status")] == "application/json"
    assert answers[1][0] == "HTTP/1.1 404 Not Found"


def test_a_request_in_small_pieces_is_one_request(shared):
    with shared.connected(*[SCRAPE[index : index + 1] for index in range(len(SCRAPE))]) as client:
        assert answer(client)[0] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "garbage", [b"\0\1\2\3\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_garbage_is_refused_and_harms_nobody(shared, garbage):
    with shared.connected(garbage) as client:
        assert answer(client)[0] == "HTTP/1.1 400 Bad Request"
        assert client.recv(1) == b""
    assert httpx.get(f"{shared.url}/metrics").status_code == 200


def test_a_failure_while_a_page_is_made_is_a_500_and_not_the_end(service, caplog):
    def broken(*_):
        raise RuntimeError("the page is broken")

    whole, service.exposition.page = service.exposition.page, broken
    assert httpx.get(f"{service.url}/metrics").status_code == 500
    assert "the page is broken" in caplog.text
    service.exposition.page = whole
    assert httpx.get(f"{service.url}/metrics").status_code == 200


def test_scrapes_see_whole_polls_while_others_are_published():
    """Promise 5: a scrape never shows half a poll. Each poll shows its own number of pipelines in every family."""
    from exporter.core.state import State
    from exporter.metrics.snapshot import Snapshot

    from .serving import pipelines

    def series(client):
        text = client.get("/metrics").text
        return {text.count(f"\n{name}{{") for name in ("maia_pipeline_info", "maia_pipeline_consecutive_failures")}

    with Service() as service, httpx.Client(base_url=service.url) as client, ThreadPoolExecutor(1) as poller:
        snapshots = [Snapshot(state=State(pipelines=pipelines(number))) for number in range(1, 60)]
        publishing = poller.submit(lambda: [service.exposition.publish(snapshot) for snapshot in snapshots])
        seen = [series(client)]
        while not publishing.done():
            seen.append(series(client))
        assert all(len(counts) == 1 for counts in seen)
        assert series(client) == {59}
