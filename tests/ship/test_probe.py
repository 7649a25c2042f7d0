"""The image's health check against everything that can stand behind the port."""

import http.server
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
import trustme

COMMAND = (sys.executable, "-I", "-m", "exporter.cli.probe")


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"the poller has ended\n")

    def log_message(self, *_):
        pass


class Server(http.server.HTTPServer):
    def handle_error(self, *_):
        pass  # a handshake that failed is what some tests are about


@contextmanager
def served(*, status=200, context=None):
    with Server(("127.0.0.1", 0), Answers) as server:
        server.status, server.asked = status, []
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def probe(port):
    return subprocess.run([*COMMAND, f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=20)


def tls(*, client_certificate=False):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("maia.example.com").configure_cert(context)  # not the name that the probe asks for
    if client_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("context", [None, tls(), tls(client_certificate=True)], ids=["http", "tls", "client's"])
def test_a_service_that_answers_is_healthy(context):
    with served(context=context) as server:
        done = probe(server.server_port)

    assert (done.returncode, done.stderr) == (0, "")
    assert server.asked == ([] if context and context.verify_mode else ["/-/healthy"])


@pytest.mark.parametrize("context", [None, tls()], ids=["http", "tls"])
def test_a_service_that_says_so_is_not_healthy(context):
    with served(status=503, context=context) as server:
        done = probe(server.server_port)

    assert done.returncode == 1
    assert "HTTP 503: the poller has ended" in done.stderr


def test_a_port_where_nobody_listens_or_answers_is_not_healthy():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "timed out" in probe(port).stderr
    done = probe(port)

    assert done.returncode == 1
    assert "refused" in done.stderr
