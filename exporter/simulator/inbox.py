"""A local inbox: receives what Apprise posts to a `json://` target, shows it on a page, and tells whoever listens.

For the demo and for people who try out routes. Keeps the newest letters in memory. Imports nothing else of the package.
"""

from __future__ import annotations

import html
import json
import socket
import threading
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from starlette.requests import Request

KEPT = 500
"""Letters that are shown; older ones are forgotten."""

_LARGEST = 1_000_000
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message as it came."""

    number: int
    received_at: datetime
    title: str
    body: str


class Inbox:
    """What has come, newest last. Used from the serving thread; `letters` may be read from any."""

    def __init__(
        self,
        on_letter: Callable[[Letter], None] = lambda _: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),  # noqa: TID251 - imports no clock of the package
    ) -> None:
        self._letters: deque[Letter] = deque(maxlen=KEPT)
        self._on_letter = on_letter
        self._now = now
        self._number = 0
        self.app = Starlette(
            routes=[
                Route("/", self._receive, methods=["POST"]),
                Route("/", self._home),
                Route("/inbox", self._page),
                Route("/inbox.json", self._list),
            ]
        )

    @property
    def letters(self) -> tuple[Letter, ...]:
        """The newest letters, in the order in which they came."""
        return tuple(self._letters)

    async def _receive(self, request: Request) -> Response:
        content = await request.body()
        try:
            posted = json.loads(content) if len(content) <= _LARGEST else None
        except ValueError:
            posted = None
        if not isinstance(posted, dict):
            return PlainTextResponse("post a JSON object with title and message", status_code=400)
        self._number += 1
        letter = Letter(
            number=self._number,
            received_at=self._now(),
            title=str(posted.get("title", "")),
            body=str(posted.get("message", "")),
        )
        self._letters.append(letter)
        self._on_letter(letter)
        return JSONResponse({"number": letter.number})

    async def _home(self, _: Request) -> Response:
        return RedirectResponse("inbox")

    async def _page(self, _: Request) -> Response:
        letters = "\n".join(_article(letter) for letter in reversed(self._letters))
        page = _PAGE.replace("{letters}", letters or "<p>Nothing yet. The page looks again every two seconds.</p>")
        return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})

    async def _list(self, _: Request) -> Response:
        return JSONResponse(
            [{**asdict(letter), "received_at": letter.received_at.isoformat()} for letter in self._letters]
        )


class ServedInbox:
    """An inbox that listens on this machine; leaving the `with` block ends it."""

    def __init__(self, inbox: Inbox, *, port: int = 0) -> None:
        self.inbox = inbox
        self._listener = socket.create_server(("127.0.0.1", port))
        host, self.port = self._listener.getsockname()[:2]
        self.page_url = f"http://{host}:{self.port}/inbox"
        self.target_url = f"json://{host}:{self.port}/"
        """What goes into the `url` of a target."""
        config = uvicorn.Config(
            inbox.app, ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="inbox", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])


def _article(letter: Letter) -> str:
    """A letter as a chat would show it: the title bold, the body's line ends kept, nothing in it alive."""
    colour = next((colour for words, colour in _COLOURS if letter.title.startswith(words)), "#888")
    return (
        f'<article style="border-color: {colour}"><h2>{html.escape(letter.title)}</h2>'
        f"<pre>{html.escape(letter.body)}</pre>"
        f"<footer>{letter.received_at:%Y-%m-%d %H:%M:%S} UTC · number {letter.number}</footer></article>"
    )


_COLOURS = (
    (("FAILED", "FORBIDDEN", "OVERDUE", "VANISHED"), "#c62828"),
    (("OVER_LIMIT", "CANCEL", "EXPORTER"), "#ef8c00"),
    (("RECOVERED",), "#2e7d32"),
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Inbox</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
article { border-left: 4px solid; padding: .1rem 0 .1rem 1rem; margin: 0 0 1.5rem }
h1 { font-size: 1.2rem }
h2 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere }
pre { font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }
footer { color: #888; font-size: .85rem; margin-top: .3rem }
</style>
</head>
<body>
<h1>Inbox: what people would read</h1>
{letters}
</body>
</html>
"""
