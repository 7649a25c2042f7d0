"""All that we serve, as one ASGI app: the scrape on a path of its own, the rest through Starlette."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.web.scrape import ScrapeEndpoint
from exporter.web.status import Status, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from jinja2 import Template
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from exporter.metrics.exposition import Exposition
    from exporter.web.health import Readiness, Verdict, Workers
    from exporter.web.shortcut import Shortcut

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the answers come from."""

    exposition: Exposition
    readiness: Readiness
    workers: Workers
    version: str
    now: Callable[[], datetime]
    external_url: str = ""  # how people reach us, without a slash at its end; its path goes before every link


class Site:
    """The ASGI app. Paths also work below the path of `external_url`, for a proxy that passes them on unchanged."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._prefix = urlsplit(sources.external_url).path.rstrip("/")
        self._scrape = ScrapeEndpoint(sources.exposition)
        self.shortcuts: Mapping[bytes, Shortcut] = {b"/metrics": self._scrape.at_once}
        self._pages = Starlette(
            routes=[
                Route("/", self._page),
                Route("/-/healthy", self._healthy),
                Route("/-/ready", self._ready),
                Route("/api/v1/status", self._status),
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

    async def _status(self, _: Request) -> Response:
        return Response(msgspec.json.encode(self._now()), media_type="application/json", headers=_HEADERS)

    async def _page(self, _: Request) -> Response:
        status = self._now()
        html = self._template.render(status=status, ready=self._sources.readiness.verdict(), prefix=self._prefix)
        return HTMLResponse(html, headers={**_HEADERS, "content-security-policy": _policy(html)})

    def _now(self) -> Status:
        sources = self._sources
        return status_of(sources.exposition, version=sources.version, now=sources.now())

    @cached_property
    def _template(self) -> Template:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # costs a tenth of a second: at the first page

        environment = Environment(
            loader=PackageLoader("exporter"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        environment.filters["span"] = _span
        return environment.get_template("index.html")


def _policy(html: str) -> str:
    """Nothing may load or run; the one style sheet of the page is allowed by its hash."""
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _verdict(verdict: Verdict) -> Response:
    return PlainTextResponse(f"{verdict.reason}\n", status_code=200 if verdict.good else 503, headers=_HEADERS)


def _span(seconds: float | None) -> str:
    """A span of time for people, in its two largest units; "never" for None."""
    if seconds is None:
        return "never"
    parts: list[str] = []
    rest = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])
