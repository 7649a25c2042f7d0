"""Targets on real sockets that do as they are told: a web hook, `hooks.slack.com` behind a proxy, a mail server."""

from __future__ import annotations

import email
import email.policy
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from e2e.processes import free_port


@dataclass(frozen=True)
class Answer:
    """What a web hook answers; `drop` closes the connection instead, `after` waits for an event first."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    after: threading.Event | None = None


OK = Answer()
PAGE = Answer(body=b"<!DOCTYPE html><html><body>Please sign in</body></html>", headers={"Content-Type": "text/html"})


@dataclass(frozen=True)
class Posted:
    path: str
    title: str
    body: str
    raw: dict[str, Any]


class Witness(Protocol):
    """Is told how far a delivery has come, while whoever delivers waits."""

    def connected(self) -> None: ...

    def received(self) -> None: ...

    def answered(self) -> None: ...


class HttpTarget:
    """Keeps what it is posted, and answers as the `answer` of the moment says."""

    def __init__(
        self,
        answer: Answer | Callable[[Posted], Answer] = OK,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        witness: Witness | None = None,
    ) -> None:
        self.answer = answer
        self.witness = witness
        self.tls = tls
        self.posts: list[Posted] = []
        self.gets: list[str] = []
        self.connections = 0
        self.arrived = threading.Condition()
        target = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                target.connections += 1
                super().setup()
                if target.witness:
                    target.witness.connected()

            def do_CONNECT(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                assert target.tls
                try:
                    self.connection = target.tls.wrap_socket(self.connection, server_side=True)
                except OSError:  # whoever asked is gone
                    self.close_connection = True
                    return
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
                self.close_connection = False

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                content = self.rfile.read(length)
                self.close_connection = True
                if len(content) < length:  # whoever posted it has died
                    return
                answer = target._take(self.path, json.loads(content))
                if target.witness:
                    target.witness.received()
                if answer.after is not None:
                    answer.after.wait(60)
                if answer.drop:
                    return
                try:
                    self.send_response(answer.status)
                    for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer.body)
                except OSError:
                    return  # whoever asked is gone
                if target.witness:
                    target.witness.answered()

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                with target.arrived:
                    target.gets.append(self.path)
                    target.arrived.notify_all()

            def finish(self) -> None:
                super().finish()
                self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook"

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, number: int, *, timeout: float = 20.0) -> list[Posted]:
        """Until so many have come; fails loudly when they do not."""
        with self.arrived:
            came = self.arrived.wait_for(lambda: len(self.posts) >= number, timeout)
        assert came, f"{len(self.posts)} of {number} posts came"
        return self.posts

    def wait_for_gets(self, number: int, *, timeout: float = 20.0) -> None:
        """Until so many have come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.gets) >= number, timeout)

    def _take(self, path: str, raw: dict[str, Any]) -> Posted:
        attachment = (raw.get("attachments") or [{}])[0]
        posted = Posted(
            path=path,
            title=raw.get("title") or attachment.get("title", ""),
            body=raw.get("message") or attachment.get("text", ""),
            raw=raw,
        )
        answer = self.answer(posted) if callable(self.answer) else self.answer
        with self.arrived:
            self.posts.append(posted)
            self.arrived.notify_all()
        return answer


class MailTarget:
    """A mail server. `at_rcpt` and `at_data` are what it replies there; `drop` stores a mail and says nothing."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        password: str = "",
        port: int = 0,
        witness: Witness | None = None,
    ) -> None:
        self.witness = witness
        self.at_rcpt = "250 OK"
        self.at_data = "250 OK"
        self.drop = False
        self.mails: list[EmailMessage] = []
        self.arrived = threading.Condition()
        options: dict[str, Any] = {}
        if starttls:
            options = {"tls_context": starttls, "require_starttls": True}
        if password:
            options |= {"auth_required": True, "authenticator": _only(password)}
        self.port = port or free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ssl_context=tls, **options)
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def url(self, mode: str = "insecure", host: str = "localhost", user: str = "") -> str:
        return f"mailto://{user}{host}:{self.port}/?from=maia@example.com&to=oncall@example.com&mode={mode}"

    async def handle_EHLO(self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: Any) -> Any:  # noqa: N802
        session.host_name = hostname
        if self.witness:
            self.witness.connected()
        return responses

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.at_rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.at_rcpt

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        reply, drop = self.at_data, self.drop  # whatever happens to them meanwhile: it answers for what it has done
        if reply.startswith("250"):
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(mail, EmailMessage)
            with self.arrived:
                self.mails.append(mail)
                self.arrived.notify_all()
            if self.witness:
                self.witness.received()
        assert server.transport
        if drop:
            server.transport.abort()
        elif self.witness:
            server.transport.write(f"{reply}\r\n".encode())
            self.witness.answered()  # what is returned as well answers the QUIT
        return reply

    def wait_for(self, number: int, *, timeout: float = 20.0) -> list[EmailMessage]:
        with self.arrived:
            came = self.arrived.wait_for(lambda: len(self.mails) >= number, timeout)
        assert came, f"{len(self.mails)} of {number} mails came"
        return self.mails


def _only(password: str) -> Any:
    from aiosmtpd.smtp import AuthResult

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        return AuthResult(success=data.password == password.encode(), handled=False)

    return check
