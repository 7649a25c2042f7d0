"""Durations and instants as scripts, queries and answers spell them.

Must not read the clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+")
ZERO = timedelta()


def parse_duration(text: str) -> timedelta:
    """Read `"90s"`, `"1h30m"`, `"-2d"`; ValueError says what a duration looks like."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'{text!r} is not a duration; write for example "90s", "30m", "2h", "7d" or "1h30m"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 date and time with 0 to 6 fraction digits; without a zone it is UTC. ValueError otherwise."""
    if "T" not in text:
        raise ValueError(f"{text!r} is not an instant; write for example 2026-01-31T12:00:00Z")
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def floor_instant(at: datetime, digits: int) -> datetime:
    """Cut an instant down to so many fraction digits of a second (0 to 6)."""
    step = 10 ** (6 - digits)
    return at.replace(microsecond=at.microsecond - at.microsecond % step)


def render_instant(at: datetime, *, digits: int = 0, zone: str = "Z") -> str:
    """Spell an instant in full, with at least `digits` fraction digits.

    `zone` is `"Z"`, `""` (UTC that does not say so) or a numeric offset such as `"+02:00"`.
    """
    if zone not in ("Z", ""):
        sign = -1 if zone[0] == "-" else 1
        at = at.astimezone(timezone(sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))))
    fraction = f"{at.microsecond:06d}"
    while len(fraction) > digits and fraction.endswith("0"):
        fraction = fraction[:-1]
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction}{zone}" if fraction else f"{text}{zone}"
