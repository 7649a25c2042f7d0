"""Log lines: one a fact, on standard error; readable, or one JSON object each.

Must not let a library print what is secret: those that do so below INFO stay at INFO at any level.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Literal

SECRETIVE = ("apprise", "urllib3", "requests", "httpx", "httpcore", "alembic", "sqlalchemy", "uvicorn")
"""Libraries whose lines carry webhooks, headers or statements, or say what we say better."""

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(*, level: str, form: Literal["text", "json"] | str) -> None:
    """Send everything from `level` (debug, info, warning, error) on to standard error, as text or as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in SECRETIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00Z info message key=value`; line ends inside a message are shown, not made."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it where there is one."""
        instant = self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ")
        fields = "".join(f" {key}={_value(value)}" for key, value in _fields(record).items())
        line = f"{instant} {record.levelname.lower():<7} {_printable(record.getMessage())}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fact's own keys."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave as `extra`."""
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def _value(value: object) -> str:
    text = _printable(str(value))
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def _printable(text: str) -> str:
    """Text from outside moves no cursor and begins no line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
