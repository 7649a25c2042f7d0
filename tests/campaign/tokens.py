"""Stands before the simulator's token endpoint, so that the client's secret is a real one and every token is known.

What goes wrong there on purpose goes through: an answer that does not come, comes late, or is none.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode

import httpx


class TokenOffice:
    """Gives tokens for `secret`, and remembers each of them."""

    def __init__(self, simulator: str, *, secret: str) -> None:
        self.issued: set[str] = set()
        office = self
        http = httpx.Client(trust_env=False, timeout=20)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = {key: values[-1] for key, values in parse_qs(self.rfile.read(self._length).decode()).items()}
                good = form.get("client_secret") == secret
                form["client_secret"] = "demo" if good else "wrong"
                headers = {"Content-Type": self.headers["Content-Type"]}
                try:
                    answer = http.post(f"{simulator}{self.path}", content=urlencode(form), headers=headers)
                except httpx.HTTPError:
                    return  # whatever it was, this side does not answer either
                if answer.headers.get("content-type", "").startswith("application/json") and answer.is_success:
                    office.issued.add(answer.json()["access_token"])
                try:
                    self.send_response_only(answer.status_code)
                    for name in ("Content-Type", "Retry-After", "Date"):
                        if name in answer.headers:
                            self.send_header(name, answer.headers[name])
                    self.send_header("Content-Length", str(len(answer.content)))
                    self.end_headers()
                    self.wfile.write(answer.content)
                except OSError:
                    return  # whoever asked is gone

            @property
            def _length(self) -> int:
                return int(self.headers["Content-Length"])

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
