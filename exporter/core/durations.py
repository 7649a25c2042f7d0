"""Durations: how they are written in files and on the command line, and how people read them.

Must not know which keys take one. Every duration is a `timedelta` of whole seconds.
"""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=36_500)
"""The longest duration that may be written: any longer one is a typing error, and would overflow the calendar."""

_HINT = 'write a number and a unit, such as "90s", "30m", "2h", "7d" or "1h30m"'
_WRITTEN = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_UNITS = (("d", "d", 86_400), ("h", "h", 3_600), ("m", "min", 60), ("s", "s", 1))


class DurationError(ValueError):
    """A text that is no duration: `what` is wrong with it, and a `hint` how to write it."""

    def __init__(self, what: str, hint: str = _HINT) -> None:
        super().__init__(f"{what}; {hint}")
        self.what = what
        self.hint = hint


def parse_duration(text: str, *, allow_zero: bool = False) -> timedelta:
    """Read `"90s"`, `"30m"`, `"2h"`, `"7d"` or a sum such as `"1h30m"` (larger units first).

    Raises `DurationError` for anything else: no unit, a sign, a fraction, milliseconds, zero unless `allow_zero`.
    The message never repeats the text.
    """
    if text.isascii() and text.isdigit():
        raise DurationError("has no unit", f'write "{text[:9]}s" for seconds, or use m, h or d')
    if text.startswith("-"):
        raise DurationError("is negative")
    match = _WRITTEN.fullmatch(text)
    if not text or match is None:
        raise DurationError("is not a duration")
    numbers = (int(number or 0) for number in match.groups())
    seconds = sum(number * size for number, (_, _, size) in zip(numbers, _UNITS, strict=True))
    if seconds == 0 and not allow_zero:
        raise DurationError("is zero", "it must be longer")
    if seconds > LONGEST.total_seconds():
        raise DurationError("is longer than 100 years", "it must be shorter")
    return timedelta(seconds=seconds)


def duration_literal(duration: timedelta) -> str:
    """Write a duration as a config file would: `1h30m`, `7d`, `0s`; parts of a second are dropped."""
    return "".join(f"{count}{letter}" for count, letter, _ in _split(duration)) or "0s"


def format_duration(duration: timedelta) -> str:
    """Write a duration for people, in its two largest units: `3 h 2 min`, `45 s`, `2 d 1 h`; the rest is dropped."""
    if duration < timedelta(0):
        return f"-{format_duration(-duration)}"
    parts = _split(duration)
    if not parts:
        return "0 s"
    largest = [word for _, word, _ in _UNITS].index(parts[0][2])
    near = [word for _, word, _ in _UNITS[largest : largest + 2]]
    return " ".join(f"{count} {word}" for count, _, word in parts if word in near)


def _split(duration: timedelta) -> list[tuple[int, str, str]]:
    """Non-zero (count, letter, word) of a duration, largest unit first."""
    rest = int(duration.total_seconds())
    parts = []
    for letter, word, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append((count, letter, word))
    return parts
