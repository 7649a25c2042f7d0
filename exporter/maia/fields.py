"""The API's loose JSON, field by field: texts made harmless, instants in every spelling seen, doubts noted.

Pure. Must not know which record it reads: `exporter.maia.wire` and `exporter.maia.wire_lists` do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from exporter.core.model import Status, Trigger
from exporter.maia.errors import excerpt

STATUSES = {status.value: status for status in Status}
TRIGGERS = {trigger.value: trigger for trigger in Trigger}

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_VALUE_LENGTH = 80

LONGEST_NAME = 1_000
"""Characters of what is a name, an id or a word: they become labels, rows and addresses."""

LONGEST_TOKEN = 16_000
"""Characters of what opens the next page, or the API: web servers take about so many in all headers."""

MOST_RECORDS = 10_000
"""Of a page; it was asked for with a hundred."""

_MOST_VALUES = 200_000  # objects and lists of an answer: each takes 50 bytes at least, and three in the text


class UnreadableError(ValueError):
    """The answer as a whole is not what was asked for; the text says where and why."""


class UnusableError(ValueError):
    """One record cannot be used; the others can."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Notes(list[tuple[str, str]]):
    """(API field, what it held) of everything that was not understood and left out."""

    def add(self, field: str, value: object) -> None:
        """Note that `field` held `value`, shortened and printable."""
        self.append((field, excerpt(value if isinstance(value, str) else repr(value))[:_VALUE_LENGTH]))


def decode(body: bytes) -> Any:
    """JSON of any shape. Raises UnreadableError.

    The strict, fast reader first; then the standard library's, which also takes lone surrogates and broken UTF-8, so
    that one such text does not hide a whole page.
    """
    if body.count(b"{") + body.count(b"[") > _MOST_VALUES:
        raise UnreadableError("more objects and lists than any answer has")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    try:
        return json.loads(body.decode("utf-8-sig", errors="replace"))
    except RecursionError:
        raise UnreadableError("JSON nested too deeply") from None
    except ValueError as error:
        raise UnreadableError(f"not JSON: {error}") from error


def unwrapped(answer: object) -> Mapping[str, Any]:
    """The object itself or the one inside `{"result": {...}}`. Raises UnreadableError."""
    if not isinstance(answer, Mapping):
        raise UnreadableError(f"expected an object, got {kind(answer)}")
    inner = answer.get("result")
    return inner if isinstance(inner, Mapping) else answer


def results(answer: object) -> tuple[Mapping[str, Any], list[Any]]:
    """A list's answer and its records. A list without `results` is no empty list. Raises UnreadableError."""
    if not isinstance(answer, Mapping):
        raise UnreadableError(f"expected an object with results, got {kind(answer)}")
    found = answer.get("results")
    if not isinstance(found, list):
        raise UnreadableError(f"results: expected a list, got {kind(found) if 'results' in answer else 'nothing'}")
    if len(found) > MOST_RECORDS:
        raise UnreadableError(f"results: {len(found)} records, more than any page has")
    return answer, found


def required(record: Mapping[str, Any], key: str, *, path: str, longest: int = LONGEST_NAME) -> str:
    """A name or an id that the record is worthless without. Raises UnusableError."""
    value = record.get(key)
    if not isinstance(value, str):
        raise UnusableError(f"{path}.{key}", f"expected a text, got {kind(value)}" if key in record else "absent")
    if not value:
        raise UnusableError(f"{path}.{key}", "empty")
    return _no_longer(value, f"{path}.{key}", longest)


def name(record: Mapping[str, Any], key: str, notes: Notes, *, path: str) -> str:
    """A name, an id or a word that may be left out: as `text`, but not of any length. Raises UnusableError."""
    return _no_longer(text(record, key, notes), f"{path}.{key}", LONGEST_NAME)


def page_token(envelope: Mapping[str, Any]) -> str | None:
    """Where a list goes on, None where it ends. Raises UnreadableError."""
    token = envelope.get("more")
    if not (token is None or isinstance(token, str)):
        raise UnreadableError(f"more: expected a text, got {kind(token)}")
    if token and len(token) > LONGEST_TOKEN:
        raise UnreadableError(f"more: longer than {LONGEST_TOKEN} characters")
    return token or None


def text(record: Mapping[str, Any], key: str, notes: Notes) -> str:
    """A text, "" where it is absent or null, or is something else (noted)."""
    value = record.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    notes.add(key, value)
    return ""


def _no_longer(value: str, path: str, longest: int) -> str:
    if len(value) > longest:
        raise UnusableError(path, f"longer than {longest} characters")
    return clean(value)


def clean(value: str) -> str:
    """Without NUL and lone surrogates, which neither databases nor UTF-8 can hold."""
    return _UNSTORABLE.sub("\ufffd", value)


def status(word: str, notes: Notes) -> Status:
    """The status of that name; UNKNOWN, and noted, for a new word."""
    known = STATUSES.get(word)
    if known is None:
        notes.add("status", word)
        return Status.UNKNOWN
    return known


def trigger(word: str, notes: Notes) -> Trigger:
    """The trigger of that name; UNKNOWN for none, and noted for a new word."""
    known = TRIGGERS.get(word or "UNKNOWN")
    if known is None:
        notes.add("trigger", word)
        return Trigger.UNKNOWN
    return known


def instant(record: Mapping[str, Any], key: str, notes: Notes) -> datetime | None:
    """An instant in UTC, None where it is absent, null, or unreadable (noted)."""
    value = record.get(key)
    if value is None:
        return None
    at = _parsed(value) if isinstance(value, str) else None
    if at is None:
        notes.add(key, value)
    return at


def in_utc(at: datetime) -> datetime:
    """The same instant in UTC; one without a zone is in UTC already. Raises OverflowError at the ends of time."""
    if at.tzinfo is UTC:
        return at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def kind(value: object) -> str:
    """What JSON calls such a value."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _parsed(value: str) -> datetime | None:
    # msgspec rounds a nanosecond where the standard library cuts it; the standard library reads what RFC 3339 forbids
    # and Java writes (05:31Z). Both, in this order, so that the fast path and this one agree.
    try:
        return in_utc(msgspec.convert(value, datetime))
    except (msgspec.ValidationError, OverflowError):
        pass
    try:
        return in_utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None
