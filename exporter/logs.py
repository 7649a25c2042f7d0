"""Log lines: one a fact, on standard error; readable, or one JSON object each.

Must not let out what is secret: libraries are heard from WARNING on, those that speak of addresses and headers not at
all, and what the config calls a secret is covered wherever it stands.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECRETIVE = ("apprise", "urllib3", "requests", "httpx", "httpcore", "oauthlib", "requests_oauthlib")
"""Libraries that put webhooks and headers into lines of any level. What matters of it, we say ourselves."""

REPEATS_TOLD_EVERY = 600.0
"""Seconds between two lines about the same warning or error that keeps coming."""

_SHORTEST_SECRET = 8
"""Characters: covering a shorter one would make holes in every line and hide nothing."""

_LONGEST = 4_000
"""Characters of a message or a value."""

_MOST_REMEMBERED = 1_000
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TOKEN = re.compile(r"(?=[\w-]*\d)[\w-]{16,}")  # the part of an address that nobody could guess

_covered: re.Pattern[str] | None = None


def configure(*, level: str, form: Literal["text", "json"] | str, monotonic: Callable[[], float]) -> None:
    """Send everything from `level` (debug, info, warning, error) on to standard error, as text or as JSON."""
    handler = Lines(monotonic)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    logging.getLogger("exporter").setLevel(level.upper())
    for name in SECRETIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.captureWarnings(capture=True)


def cover(secrets: Iterable[str]) -> None:
    """Show `***` in place of these from now on, and of what looks like a token inside them."""
    global _covered  # noqa: PLW0603 - the log is one for the process, as logging itself is
    words = {part for secret in secrets for part in (secret, *_TOKEN.findall(secret))}
    long = sorted((word for word in words if len(word) >= _SHORTEST_SECRET), key=len, reverse=True)
    _covered = re.compile("|".join(map(re.escape, long))) if long else None


def tell_repeats() -> None:
    """Say what has been repeated long enough. To be called now and then: nothing else may come to be logged."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Lines):
            handler.tell_repeats()


@dataclass(slots=True)
class _Row:
    """A warning or error that came once or more."""

    record: logging.LogRecord
    told_at: float
    repeats: int = 0


class Lines(logging.StreamHandler):  # type: ignore[type-arg]  # the stream is standard error
    """Lets the first of a row of identical warnings and errors through, counts the others, and tells how many."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__(sys.stderr)
        self._monotonic = monotonic
        self._rows: OrderedDict[object, _Row] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """One line, or one more of a row."""
        now = self._monotonic()
        self._tell(now)
        if record.levelno >= logging.WARNING:
            same = (record.name, record.levelno, record.getMessage(), str(_fields(record)))
            row = self._rows.get(same)
            if row:
                row.repeats += 1
                return
            self._rows[same] = _Row(_bare(record), now)
            if len(self._rows) > _MOST_REMEMBERED:
                self._summarise(self._rows.popitem(last=False)[1], now)
        elif record.levelno == logging.INFO:
            self._end_rows(record, now)
        super().emit(record)

    def tell_repeats(self) -> None:
        """Say what has been repeated long enough."""
        self.acquire()
        try:
            self._tell(self._monotonic())
        finally:
            self.release()

    def close(self) -> None:
        """Say what has been repeated at all, and end."""
        self.acquire()
        try:
            now = self._monotonic()
            while self._rows:
                self._summarise(self._rows.popitem()[1], now)
        finally:
            self.release()
        super().close()

    def _tell(self, now: float) -> None:
        # Rows stand in the order in which they were last told of, so the first that is too young ends the search.
        while self._rows:
            same, row = next(iter(self._rows.items()))
            if now - row.told_at < REPEATS_TOLD_EVERY:
                return
            del self._rows[same]
            if row.repeats:
                self._summarise(row, now)
                self._rows[same] = _Row(row.record, now)

    def _end_rows(self, news: logging.LogRecord, now: float) -> None:
        """Good news of the same part about the same target: an error after it is a new one, and told."""
        about = (news.name, vars(news).get("target"))
        for same, row in list(self._rows.items()):
            if (row.record.name, vars(row.record).get("target")) == about:
                del self._rows[same]
                self._summarise(row, now)

    def _summarise(self, row: _Row, now: float) -> None:
        if not row.repeats:
            return
        told = copy.copy(row.record)
        told.created = logging.makeLogRecord({}).created  # now
        times, ago = _counted(row.repeats, "time"), _counted(max(1, round((now - row.told_at) / 60)), "minute")
        told.msg = f"{told.msg} (repeated {times} in the last {ago})"
        told.repeated = row.repeats
        super().emit(told)


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00Z info message key=value`; line ends inside a message are shown, not made."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it, indented, where there is one."""
        instant = self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ")
        fields = "".join(f" {key}={_value(value)}" for key, value in _fields(record).items())
        line = f"{instant} {record.levelname.lower():<7} {_printable(_safe(record.getMessage()))}{fields}"
        return "\n    ".join((line, *map(_printable, _traceback(self, record).splitlines())))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fact's own keys."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _safe(record.getMessage()),
            **{key: _safe(value) if isinstance(value, str) else value for key, value in _fields(record).items()},
        }
        if record.exc_info:
            line["exception"] = _traceback(self, record)
        return json.dumps(line, default=lambda value: _safe(str(value)))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave as `extra`."""
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def _bare(record: logging.LogRecord) -> logging.LogRecord:
    """The same without what it holds on to: the frames of a traceback, and whatever was to be put into the text."""
    bare = copy.copy(record)
    bare.msg, bare.args, bare.exc_info, bare.exc_text = record.getMessage(), (), None, None
    return bare


def _safe(text: str, *, longest: int = _LONGEST) -> str:
    """Without what is covered, and cut: names and texts of the API may have any length."""
    shown = _covered.sub("***", text) if _covered else text
    return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(shown)} characters)"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return _safe(formatter.formatException(record.exc_info), longest=_LONGEST * 10) if record.exc_info else ""


def _value(value: object) -> str:
    text = _printable(_safe(str(value)))
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def _printable(text: str) -> str:
    """Text from outside moves no cursor and begins no line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
