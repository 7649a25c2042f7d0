"""`/metrics`, straight on ASGI: it is asked all day, and everything it says is ready.

Must not wait for anything, nor look at more of a request than its method and two headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from exporter.metrics.exposition import Exposition

_COMMON_HEADERS = [(b"vary", b"Accept, Accept-Encoding"), (b"x-content-type-options", b"nosniff")]
_WRONG_METHOD = b"only GET and HEAD\n"
_WRONG_METHOD_HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_WRONG_METHOD)).encode()),
    (b"allow", b"GET, HEAD"),
]


class ScrapeEndpoint:
    """An ASGI app that answers with the page of an `Exposition`."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """One scrape."""
        if scope["method"] not in ("GET", "HEAD"):
            await send({"type": "http.response.start", "status": 405, "headers": _WRONG_METHOD_HEADERS})
            await send({"type": "http.response.body", "body": _WRONG_METHOD})
            return
        page = self._exposition.page(_header(scope, b"accept"), _header(scope, b"accept-encoding"))
        headers = [
            (b"content-type", page.content_type.encode()),
            (b"content-length", str(len(page.body)).encode()),
            *_COMMON_HEADERS,
        ]
        if page.content_encoding:
            headers.append((b"content-encoding", page.content_encoding.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page.body if scope["method"] == "GET" else b""})


def _header(scope: Scope, name: bytes) -> str:
    """A header that may come in several lines, as one; "" when it is absent."""
    return ",".join([value.decode("latin-1") for key, value in scope["headers"] if key == name])
