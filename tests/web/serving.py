"""A server on a real socket, and clients that behave as badly as a test wants."""

import contextlib
import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import bcrypt

from exporter.core.model import PipelineKey
from exporter.core.state import PipelineState, State
from exporter.metrics.exposition import Exposition
from exporter.metrics.self_metrics import SelfMetrics
from exporter.metrics.snapshot import Snapshot
from exporter.web.connections import Patience
from exporter.web.entrance.in_force import WebConfigInForce
from exporter.web.entrance.passwords import Passwords
from exporter.web.entrance.sign_in import SignIn
from exporter.web.entrance.tries import Allowance
from exporter.web.health import Readiness, Workers
from exporter.web.page.sources import PageSources
from exporter.web.server import WebServer
from exporter.web.site import Site, Sources

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"


def pipelines(number):
    keys = [PipelineKey("5e1f", "prod", f"finance/load-{index:05}.orch.yaml") for index in range(number)]
    return {key: PipelineState(key=key, first_seen_at=NOON, watched_since=NOON) for key in keys}


class Service:
    """What a running exporter consists of, as far as the web server sees it."""

    def __init__(
        self,
        *,
        number=3,
        external_url="",
        patience=None,
        page=None,
        port=0,
        web_config=None,
        allowance=None,
        check=bcrypt.checkpw,
    ):
        self.ours = SelfMetrics(version="1.2.3", started_at=NOON, poll_interval=timedelta(seconds=30))
        self.exposition = Exposition(self.ours, monotonic=lambda: 0.0)
        self.exposition.publish(Snapshot(state=State(pipelines=pipelines(number))))
        self.readiness, self.workers = Readiness(), Workers()
        self.now = NOON
        site = Site(
            Sources(
                exposition=self.exposition,
                readiness=self.readiness,
                workers=self.workers,
                version="1.2.3",
                now=lambda: self.now,
                external_url=external_url,
                page=page or PageSources(),
            )
        )
        app, tls = site, None
        if web_config:
            self.in_force = WebConfigInForce(web_config)
            app = SignIn(
                site,
                self.in_force.now,
                prefix=urlsplit(external_url).path,
                allowance=allowance or Allowance(),
                passwords=Passwords(check),
            )
            tls = self.in_force.tls_now if self.in_force.has_tls else None
        self.app = app
        self.server = WebServer("127.0.0.1", port, app=app, patience=patience or Patience(), tls=tls)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop()

    @property
    def url(self):
        return f"{'https' if self.server.has_tls else 'http'}://127.0.0.1:{self.server.port}"

    @contextlib.contextmanager
    def connected(self, *sent, receive_buffer=None):
        """A raw connection that has sent some bytes; waits at most ten seconds for an answer."""
        with socket.socket() as client:
            if receive_buffer:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            client.settimeout(10)
            client.connect(("127.0.0.1", self.server.port))
            for data in sent:
                client.sendall(data)
            yield client


def answer(client):
    """One answer: its status line, headers (names in lower case) and body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, f"closed after {head!r}"
        head += byte
    status, *lines = head.decode().split("\r\n")[:-2]
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    body = b""
    while missing := int(headers.get("content-length", 0)) - len(body):
        received = client.recv(missing)
        assert received, "closed in the middle of a body"
        body += received
    return status, headers, body


def all_until_closed(client):
    """Whatever still comes; a reset is an end, too."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while data := client.recv(1 << 20):
            received += data
    return received
