"""All that we serve, as one ASGI app: the scrape on a path of its own, the rest through Starlette."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.metrics.formats import takes_gzip
from exporter.web.page.board import Board
from exporter.web.page.press import Kind, Press, Question
from exporter.web.page.printing import POLICY, Printer, page_files
from exporter.web.page.sources import PageSources
from exporter.web.page.wanted import Wanted
from exporter.web.scrape import ScrapeEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from exporter.metrics.exposition import Exposition
    from exporter.web.health import Readiness, Verdict, Workers
    from exporter.web.shortcut import Shortcut

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_FOR_EVER = {**_HEADERS, "cache-control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the answers come from."""

    exposition: Exposition
    readiness: Readiness
    workers: Workers
    version: str
    now: Callable[[], datetime]
    external_url: str = ""  # how people reach us, without a slash at its end; its path goes before every link
    page: PageSources = field(default_factory=PageSources)


class Site:
    """The ASGI app. Paths also work below the path of `external_url`, for a proxy that passes them on unchanged."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._prefix = urlsplit(sources.external_url).path.rstrip("/")
        self._scrape = ScrapeEndpoint(sources.exposition)
        self._press = Press(
            Board(sources.exposition, sources.readiness, sources.page, version=sources.version),
            sources.page,
            Printer(self._prefix),
            now=sources.now,
        )
        self.shortcuts: Mapping[bytes, Shortcut] = {b"/metrics": self._scrape.at_once}
        self._pages = Starlette(
            routes=[
                Route("/", partial(self._printed, Kind.HTML), methods=["GET"]),
                Route("/-/healthy", self._healthy),
                Route("/-/ready", self._ready),
                Route("/api/v1/status", partial(self._printed, Kind.JSON), methods=["GET"]),
                *(Route(f"/{name}", self._file) for name in page_files()),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope["path"]
        if self._prefix and (path == self._prefix or path.startswith(self._prefix + "/")):
            path = path.removeprefix(self._prefix) or "/"
            scope = {**scope, "path": path}
        app = self._scrape if path == "/metrics" else self._pages
        await app(scope, receive, send)

    async def _healthy(self, _: Request) -> Response:
        return _verdict(self._sources.workers.verdict())

    async def _ready(self, _: Request) -> Response:
        return _verdict(self._sources.readiness.verdict())

    async def _printed(self, kind: Kind, request: Request) -> Response:
        """The page or its data: made elsewhere, so that no scrape waits for it."""
        question = Question(
            kind=kind,
            wanted=Wanted.of(request.query_params),
            reveal=self._sources.page.reveals(request.scope),
        )
        zipped = takes_gzip(request.headers.get("accept-encoding", ""))
        printed = await self._press.answer(question, known=request.headers.get("if-none-match", ""), zipped=zipped)
        headers = {**_HEADERS, "etag": printed.etag, "vary": "Accept-Encoding"}
        if kind is Kind.HTML:
            headers["content-security-policy"] = POLICY
        if not printed.body:
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["content-encoding"] = "gzip"
        return Response(printed.body, media_type=kind.value, headers=headers)

    async def _file(self, request: Request) -> Response:
        file = page_files()[request.url.path.rpartition("/")[2]]
        kept = _FOR_EVER if request.query_params.get("v") == file.version else _HEADERS
        return Response(file.body, media_type=file.media_type, headers=kept)


def _verdict(verdict: Verdict) -> Response:
    return PlainTextResponse(f"{verdict.reason}\n", status_code=200 if verdict.good else 503, headers=_HEADERS)
