"""The kinds of value a key can have: each checks what stands in the file and turns it into what the code needs.

Numbers and true/false may also be written as strings, so that they can come from the environment. Must not quote a
secret in a message, nor know which keys there are.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, SecretStr

from exporter.config.errors import BadValueError, quoted, shown, suggestion
from exporter.core.durations import DurationError, duration_literal, parse_duration

_LARGEST = 1_000_000_000
_LONGEST_NAME = 100


def text(value: object) -> str:
    """Take a string."""
    if not isinstance(value, str):
        raise BadValueError(f"expected a string, not {shown(value)}")
    return _unicode(value)


def non_empty(value: object) -> str:
    """Take a string that says something."""
    if not text(value).strip():
        raise BadValueError("is empty")
    return text(value)


def name(value: object) -> str:
    """Take the name of a target or limit: it becomes a label and an argument of commands."""
    word = non_empty(value)
    if "://" in word:
        raise BadValueError("is a URL", "choose a name for people; a URL stands in url or url_file alone")
    if not word.isprintable() or word != word.strip() or len(word) > _LONGEST_NAME:
        raise BadValueError(f"{quoted(word)} is no name", "use up to 100 printable characters, no space at the ends")
    return word


def pattern(value: object) -> str:
    """Take a glob."""
    word = text(value)
    if not word:
        raise BadValueError("has an empty pattern, which can never match", 'remove it, or write "*" for everything')
    return word


def entries(value: object) -> tuple[object, ...]:
    """Take a list."""
    if not isinstance(value, list | tuple):
        raise BadValueError(f"expected a list, not {shown(value)}", "write it in square brackets")
    return tuple(value)


def some_entries(value: object) -> tuple[object, ...]:
    """Take a list that is not empty."""
    if not entries(value):
        raise BadValueError("is empty and can never match", "name at least one")
    return entries(value)


def some_patterns(value: object) -> tuple[object, ...]:
    """Take a list of globs: an empty one would never match."""
    if not entries(value):
        raise BadValueError("is empty and can never match", 'leave it out, or write ["*"] for everything')
    return entries(value)


def whole(value: object) -> int:
    """Take a whole number from 1."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValueError(f"expected a whole number, not {shown(value)}")
    if value < 1:
        raise BadValueError(f"{shown(value)} is too small", "the smallest value is 1")
    if value > _LARGEST:
        raise BadValueError(f"{shown(value)} is too large", f"the largest value is {_LARGEST}")
    return value


def flag(value: object) -> bool:
    """Take true or false."""
    match value:
        case bool():
            return value
        case "true" | "false":
            return value == "true"
    raise BadValueError(f"expected true or false, not {shown(value)}")


def bucket(value: object) -> float:
    """Take a histogram bucket's bound in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValueError(f"expected numbers (seconds), not {shown(value)}")
    if not 0 < value < _LARGEST or not math.isfinite(value):
        raise BadValueError(f"{shown(value)} is no bound", "a bound is a positive, finite number of seconds")
    return float(value)


def duration(value: object) -> timedelta:
    """Take a duration longer than zero."""
    return _duration(value, allow_zero=False)


def duration_or_zero(value: object) -> timedelta:
    """Take a duration, or "0s"."""
    return _duration(value, allow_zero=True)


def duration_or_none(value: object) -> timedelta | None:
    """Take a duration longer than zero, or its absence."""
    return None if value is None else duration(value)


def _duration(value: object, *, allow_zero: bool) -> timedelta:
    if isinstance(value, timedelta):  # our own defaults
        return value
    if not isinstance(value, str):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        what = f"{shown(value)} has no unit" if is_number else f"expected a duration, not {shown(value)}"
        raise BadValueError(what, 'write a string with a unit, such as "90s", "30m", "2h" or "7d"')
    try:
        return parse_duration(value, allow_zero=allow_zero)
    except DurationError as error:
        raise BadValueError(f"{shown(value)} {error.what}", error.hint) from None


def _literal_or_none(value: timedelta | None) -> str | None:
    return None if value is None else duration_literal(value)


def secret(value: object) -> SecretStr:
    """Take a secret; no message may quote it."""
    if isinstance(value, SecretStr):  # our own defaults
        return value
    if not isinstance(value, str):
        raise BadValueError("expected a string")
    if any(ord(character) < ord(" ") for character in value):
        raise BadValueError("has a line break or another control character in it")
    return SecretStr(_unicode(value))


def needed_secret(value: object) -> SecretStr:
    """Take a secret that must not be empty."""
    found = secret(value)
    if not found.get_secret_value().strip():
        raise BadValueError("is empty")
    return found


def _unicode(value: str) -> str:
    """Refuse what the environment made of bytes that are no UTF-8: it could neither be sent nor shown."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadValueError("is not UTF-8 text") from None
    return value


def one_of(value: object, known: tuple[str, ...]) -> str:
    """Take one of the known words."""
    word = text(value)
    if word not in known:
        raise BadValueError(f"{quoted(word)} is unknown", suggestion(word, known))
    return word


Text = Annotated[str, BeforeValidator(text)]
NonEmpty = Annotated[str, BeforeValidator(non_empty)]
Name = Annotated[str, BeforeValidator(name)]
Globs = Annotated[tuple[Annotated[str, BeforeValidator(pattern)], ...], BeforeValidator(some_patterns)]
GlobsOrNone = Annotated[tuple[Annotated[str, BeforeValidator(pattern)], ...], BeforeValidator(entries)]
Whole = Annotated[int, BeforeValidator(whole)]
Flag = Annotated[bool, BeforeValidator(flag)]
_as_literal = PlainSerializer(duration_literal, return_type=str, when_used="json")
Duration = Annotated[timedelta, BeforeValidator(duration), _as_literal]
DurationOrZero = Annotated[timedelta, BeforeValidator(duration_or_zero), _as_literal]
DurationOrNone = Annotated[
    timedelta | None, BeforeValidator(duration_or_none), PlainSerializer(_literal_or_none, when_used="json")
]
Secret = Annotated[SecretStr, BeforeValidator(secret)]
NeededSecret = Annotated[SecretStr, BeforeValidator(needed_secret)]


def known(*words: str) -> BeforeValidator:
    """Make the validator of a closed set of words."""
    return BeforeValidator(lambda value: one_of(value, words))
