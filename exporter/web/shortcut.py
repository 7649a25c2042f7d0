"""Answers the plainest of requests as soon as its header is read, without an ASGI task.

A scrape is the same request all day and its answer lies ready: uvicorn's way through scope, task and events costs
three times as much as sending it. Whatever is not quite plain goes that way all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from exporter.web.connections import GuardedProtocol

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]
"""A request's headers, names in lower case."""

Shortcut = Callable[[Headers], tuple[Headers, bytes] | None]
"""From a request's headers to its good answer, header and body; None leaves the request to the app."""


class ShortcutApp(Protocol):
    """An ASGI app and its shortcuts. What wraps one, to ask for a password say, says which shortcuts are left."""

    @property
    def shortcuts(self) -> Mapping[bytes, Shortcut]:
        """By the request's URL, exactly as it is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""


_NOT_PLAIN = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})


class ShortcutProtocol(GuardedProtocol):
    """Serves GET requests for the URLs of `shortcuts` by itself, all else through the app."""

    def __init__(self, *, shortcuts: Mapping[bytes, Shortcut], **server: Any) -> None:
        super().__init__(**server)
        self._shortcuts = shortcuts
        self._answered = False

    def on_headers_complete(self) -> None:
        """A request's header is whole."""
        shortcut = self._shortcuts.get(self.url)
        if shortcut is None or not self._is_plain():
            super().on_headers_complete()
            return
        try:
            answer = shortcut(self.headers)
        except Exception:  # noqa: BLE001 - the app meets the same error, logs it and answers 500
            answer = None
        if answer is None:
            super().on_headers_complete()
            return
        headers, body = answer
        lines = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *headers)]
        self.transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n")))
        self.transport.write(body)
        self._answered = True

    def on_message_complete(self) -> None:
        """A request's last byte."""
        if not self._answered:
            super().on_message_complete()
            return
        self._answered = False
        self.server_state.total_requests += 1
        self.request_ended()
        self.answer_ended()

    def _is_plain(self) -> bool:
        """Whether nothing is to be read or waited for: no body, no earlier answer in the way, and it may go on."""
        return (
            self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and bool(self.parser.should_keep_alive())
            and not self.answering
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and not any(name in _NOT_PLAIN for name, _ in self.headers)
        )
