"""Whatever is sent to the port, the service answers the next scrape, and logs no traceback."""

import socket
from contextlib import suppress

import pytest
from e2e.processes import until
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .corpus import corpus, patched

pytestmark = pytest.mark.e2e

KEPT = corpus("requests")

PATHS = ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/status", "/nowhere", "/..%2f", "/?q=%ff&status=%00", "*")
HEADERS = ("Accept", "Accept-Encoding", "Authorization", "Host", "Content-Length", "Transfer-Encoding", "Connection")
REQUESTS = st.builds(
    lambda method, path, tail, headers: (
        f"{method} {path}".encode()
        + tail
        + b" HTTP/1.1\r\n"
        + b"".join(b"%s: %s\r\n" % pair for pair in headers)
        + b"\r\n"
    ),
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "CONNECT", "get", "PRI"]),
    st.sampled_from(PATHS),
    st.binary(max_size=10),
    st.lists(st.tuples(st.sampled_from(HEADERS).map(str.encode), st.binary(max_size=30)), max_size=5),
)


def test_no_request_brings_it_down(stage):
    simulator = stage.simulator(script="calm", speed=0)
    service = stage.service(api=simulator.url)
    service.up()

    @settings(derandomize=True, max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        REQUESTS
        | st.binary(min_size=1, max_size=200)
        | patched(KEPT, st.sampled_from([b"\r\n", b"\n", b"\x00", b": "]))
    )
    @example(b"GET /metrics HTTP/1.1\r\nAccept: " + b"text/plain;q=0.1," * 3_000 + b"\r\n\r\n")
    @example(b"GET /?" + b"q=x&" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    def sends(request):
        with suppress(OSError), socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    sends()
    for path in KEPT:
        sends.hypothesis.inner_test(path.read_bytes())

    until(lambda: service.sample("maia_up") == 1, what="it answers the next scrape")
    assert service.ended() is None
    assert "Traceback" not in service.text
    assert " error " not in service.text
