"""An API that turns on its client: passes everything on to a simulator until it is told how to attack."""

import gzip
import itertools
import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

LIST = "/dpc/v1/pipeline-executions"
_RUN = {"pipelineName": "flood.orch.yaml", "projectId": "p", "environmentName": "prod", "status": "RUNNING"}


class HostileApi:
    """Serves from `with` to its end. `attack` is called with the handler of each list request instead of an answer."""

    def __init__(self, behind):
        self.attack = None
        self.struck = 0
        self.over = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if api.attack and self.path.startswith(LIST):
                    api.struck += 1
                    with suppress(OSError):  # the client has had enough
                        api.attack(self, api.over)
                    self.close_connection = True
                    return
                self._pass_on()

            def do_POST(self):
                self._pass_on()

            def _pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {
                    name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers
                }
                answer = api._http.request(self.command, behind + self.path, content=body, headers=headers)
                say(self, answer.content, status=answer.status_code)

            def log_message(self, *_):
                pass

        self._http = httpx.Client(trust_env=False, timeout=20)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # connections break here all the time
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._http.close()


def say(handler, body, *, status=200, **headers):
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


# Attacks


def gigantic(handler, over):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n{")
    while not over.is_set():
        handler.wfile.write(b" " * 65536)


_BOMB = gzip.compress(b" " * 100 * 2**20, 1)


def bomb(handler, _):
    """A hundred megabytes, sent as half a one."""
    say(handler, _BOMB, Content_Encoding="gzip")


_JUNK = gzip.compress(b'{"results":[' + b"{}," * 2_500_000 + b"{}]}", 1)


def junk(handler, _):
    """As many objects as fit: each takes twenty times as much memory as text."""
    say(handler, _JUNK, Content_Encoding="gzip")


def bad_records(handler, _):
    say(handler, b'{"results":[' + b"1," * 3_000_000 + b"1]}")


def deep(handler, _):
    say(handler, b'{"results":' + b"[" * 150_000)


def circle(handler, _):
    say(handler, json.dumps({"results": [_RUN | {"pipelineExecutionId": "r"}], "more": "again"}).encode())


_numbers = itertools.count()


def endless(handler, _):
    """New runs and a new token with every page."""
    page = [_RUN | {"pipelineExecutionId": f"flood-{next(_numbers)}"} for _ in range(100)]
    say(handler, json.dumps({"results": page, "more": f"token-{next(_numbers)}"}).encode())


def long_token(handler, _):
    say(handler, json.dumps({"results": [], "more": "t" * 2_000_000}).encode())


def drip(handler, over):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not over.wait(0.1):
        handler.wfile.write(b" ")


def header_flood(handler, over):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        if over.is_set():
            return
        handler.wfile.write(b"X-Flood-%d: %s\r\n" % (number, b"x" * 1000))


def redirect_to(elsewhere):
    def redirect(handler, _):
        say(handler, b"", status=302, Location=f"{elsewhere}/dpc/v1/pipeline-executions")

    return redirect


def hang_up(handler, _):
    handler.connection.shutdown(socket.SHUT_RDWR)
