"""Makes the page and its data on one thread, and keeps what it has made until something changes.

A scrape must not wait for a page: the event loop only hands over questions, and no two pages are made at once. The
thread is a daemon: a read of the record that hangs does not hold up the end of the process.
"""

from __future__ import annotations

import asyncio
import gzip
import uuid
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from exporter.web.page.pipelines import Roll, Rows
from exporter.web.page.status import status_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from datetime import datetime

    from exporter.web.page.board import Board, Facts
    from exporter.web.page.printing import Printer
    from exporter.web.page.sources import PageSources
    from exporter.web.page.wanted import Wanted

Made = TypeVar("Made")

_MOST_KEPT = 16  # answers, one a filter
_FRESH_SECONDS = 2.0
"""Ages on a page that is served from what is kept are wrong by this much at most."""


class Kind(Enum):
    """What can be asked for."""

    HTML = "text/html; charset=utf-8"
    JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request, as far as its answer depends on it."""

    kind: Kind
    wanted: Wanted
    reveal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """An answer, compressed or not. Without a body: what the client has (`etag`) is still right."""

    etag: str
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An answer as it is kept, compressed: a page of 2,000 pipelines takes a thirtieth of the room then."""

    etag: str
    zipped: bytes
    made_at: datetime


class Press:
    """Answers questions, one after the other."""

    def __init__(self, board: Board, page: PageSources, printer: Printer, *, now: Callable[[], datetime]) -> None:
        self._board = board
        self._page = page
        self._printer = printer
        self._now = now
        self._hand: _Hand[Printed] = _Hand()
        self._boot = uuid.uuid4().hex[:8]
        self._kept: dict[Question, _Kept] = {}
        self._roll = Roll()
        self._rows: tuple[int, Rows] | None = None  # of an edition

    async def answer(self, question: Question, *, known: str, zipped: bool) -> Printed:
        """The answer; without a body where the client's, of the ETag `known`, is still right."""
        return await self._hand.do(partial(self._answer, question, known=known, zipped=zipped))

    def _answer(self, question: Question, *, known: str, zipped: bool) -> Printed:
        facts = self._board.look()
        edition, now = self._board.edition, self._now()
        etag = f'W/"{self._boot}-{edition}-{question.reveal:d}"'
        if known == etag:
            return Printed(etag=etag)
        kept = self._kept.pop(question, None)
        if kept is None or kept.etag != etag or not _is_fresh(kept, now):
            body = self._made(question, facts, now, etag=etag)
            kept = _Kept(etag=etag, zipped=gzip.compress(body, 6, mtime=0), made_at=now)
        self._kept[question] = kept
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return Printed(etag=etag, body=kept.zipped if zipped else gzip.decompress(kept.zipped))

    def _made(self, question: Question, facts: Facts, now: datetime, *, etag: str) -> bytes:
        if self._rows is None or self._rows[0] != self._board.edition:
            self._rows = (self._board.edition, self._roll.rows(facts, now))
        rows = self._rows[1]
        status = status_of(facts, rows, question.wanted, stories=self._page.stories, now=now, reveal=question.reveal)
        if question.kind is Kind.JSON:
            return msgspec.json.encode(status)
        return self._printer.html(status, rows, question.wanted, etag=etag)


def _is_fresh(kept: _Kept, now: datetime) -> bool:
    return 0 <= (now - kept.made_at).total_seconds() < _FRESH_SECONDS


class _Hand(Generic[Made]):
    """The thread, which begins with the first question."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Made], AbstractEventLoop, Future[Made]]] = SimpleQueue()
        self._thread: Thread | None = None

    async def do(self, work: Callable[[], Made]) -> Made:
        """What `work` answers, from the thread."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="page", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: Future[Made] = loop.create_future()
        self._queue.put((work, loop, future))
        return await future

    def _run(self) -> None:
        while True:
            work, loop, future = self._queue.get()
            if not future.cancelled():  # whoever asked may have gone
                _do(work, loop, future)


def _do(work: Callable[[], Made], loop: AbstractEventLoop, future: Future[Made]) -> None:
    try:
        settle = partial(future.set_result, work())
    except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
        settle = partial(future.set_exception, error)

    def settled() -> None:
        if not future.done():
            settle()

    with suppress(RuntimeError):  # the server has stopped meanwhile
        loop.call_soon_threadsafe(settled)
