"""`/metrics`: it is asked all day, and everything it says is ready.

Must not wait for anything, nor look at more of a request than its method and two headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from exporter.metrics.exposition import Exposition, Page
    from exporter.web.shortcut import Headers

_WRONG_METHOD = b"only GET and HEAD\n"
_WRONG_METHOD_HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(_WRONG_METHOD)).encode()),
    (b"allow", b"GET, HEAD"),
]


class ScrapeEndpoint:
    """Answers with the page of an `Exposition`: as an ASGI app, or at once for a plain GET."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """One scrape."""
        if scope["method"] not in ("GET", "HEAD"):
            await send({"type": "http.response.start", "status": 405, "headers": _WRONG_METHOD_HEADERS})
            await send({"type": "http.response.body", "body": _WRONG_METHOD})
            return
        page = self._page(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": _headers(page)})
        await send({"type": "http.response.body", "body": page.body if scope["method"] == "GET" else b""})

    def at_once(self, headers: Headers) -> tuple[Headers, bytes]:
        """The answer to a plain GET: a `Shortcut`."""
        page = self._page(headers)
        return _headers(page), page.body

    def _page(self, headers: Headers) -> Page:
        accept = accept_encoding = b""
        for name, value in headers:  # each may come in several lines
            if name == b"accept":
                accept = accept + b"," + value if accept else value
            elif name == b"accept-encoding":
                accept_encoding = accept_encoding + b"," + value if accept_encoding else value
        return self._exposition.page(accept.decode("latin-1"), accept_encoding.decode("latin-1"))


def _headers(page: Page) -> Headers:
    headers = [
        (b"content-type", page.content_type.encode()),
        (b"content-length", str(len(page.body)).encode()),
        (b"vary", b"Accept, Accept-Encoding"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if page.content_encoding:
        headers.append((b"content-encoding", page.content_encoding.encode()))
    return headers
