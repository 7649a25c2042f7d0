"""Small drawings and words for the page: the strip of a pipeline's last runs, spans, instants, texts of others.

A run's outcome has a shape beside its colour: the strip can be read without colours.
"""

from __future__ import annotations

from collections import Counter
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from exporter.core.inert import visible
from exporter.core.model import Status
from exporter.core.recent import RECENT_KEPT

if TYPE_CHECKING:
    from datetime import datetime

_WIDTH = 6
_SHAPES = {
    Status.SUCCESS: "m1 4h4v9h-4z",  # a short bar
    Status.FAILED: "m1 0h4v16h-4z",  # a tall one
    Status.FORBIDDEN: "m1 0h4v6h-4zm0 10h4v6h-4z",  # a tall one with a gap
    Status.CANCELLED: "m1 4h4v9h-4zm1 1v7h2v-7z",  # a frame
    Status.SKIPPED: "m1 12h4v2h-4z",  # a dash at the foot
    Status.UNKNOWN: "m2 7h2v3h-2z",  # a dot
}


@lru_cache(maxsize=2_048)
def strip(statuses: tuple[str, ...]) -> Markup:
    """These outcomes from left to right, the newest at the right edge, as SVG."""
    paths: dict[str, list[str]] = {}
    for place, status in enumerate(statuses, RECENT_KEPT - len(statuses)):
        paths.setdefault(status, []).append(f"M{place * _WIDTH} 0{_SHAPES[Status(status)]}")
    drawn = "".join(f'<path class="{status}" d="{"".join(shapes)}"/>' for status, shapes in paths.items())
    counted = ", ".join(f"{number} {status}" for status, number in Counter(statuses).most_common())
    title = f"last {len(statuses)} runs, the newest at the right: {counted}" if statuses else "no run yet"
    head = f'<svg class="strip" viewBox="0 0 {RECENT_KEPT * _WIDTH} 16" role="img"><title>{title}</title>'
    return Markup(f"{head}{drawn}</svg>")  # noqa: S704 - only our own words are in it


def glyph(status: str) -> Markup:
    """The shape of one outcome, for the legend."""
    path = f'<path class="{status}" d="M0 0{_SHAPES[Status(status)]}"/>'
    return Markup(f'<svg class="glyph" viewBox="0 0 {_WIDTH} 16" aria-hidden="true">{path}</svg>')  # noqa: S704


def seen(text: str) -> Markup:
    """Text of others in one line, escaped, without what is not seen or turns the direction of reading."""
    return escape(visible(text))


@lru_cache(maxsize=4_096)
def named(name: str) -> Markup:
    """A pipeline's name; what tells it from its neighbours stands out from folders and extension."""
    folder, slash, file = visible(name).rpartition("/")
    stem, dot, kind = file.partition(".")
    return _NAME.format(folder, slash, stem, dot, kind)


@lru_cache(maxsize=1_024)
def place(project: str, environment: str) -> Markup:
    """Where a pipeline lives."""
    return _PLACE.format(visible(project), visible(environment))


@cache
def badge(status: str) -> Markup:
    """How a run ended or stands, one of our own words."""
    return Markup('<span class="badge {0}">{0}</span>').format(status)


def ago(instant: datetime | None, now: datetime) -> Markup:
    """How long ago that was; it ticks."""
    if instant is None:
        return _NEVER
    return Markup(f'<time class="ago" datetime="{stamp(instant)}">{since(instant, now)} ago</time>')  # noqa: S704 - ours


def lasting(instant: datetime, now: datetime) -> Markup:
    """For how long it has been so; it ticks."""
    return Markup(f'<time datetime="{stamp(instant)}">{since(instant, now)}</time>')  # noqa: S704 - ours


_NAME = Markup("{}{}<wbr><b>{}</b>{}{}")
_PLACE = Markup('<span class="where">{} · {}</span>')
_NEVER = Markup('<span class="none">never</span>')


def span(seconds: float | None) -> str:
    """A span of time for people, in its two largest units; "never" for None. `page.js` says the same."""
    if seconds is None:
        return "never"
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def since(instant: datetime | None, now: datetime) -> str:
    """How long ago that was."""
    return span(None if instant is None else max(0.0, (now - instant).total_seconds()))


def stamp(instant: datetime) -> str:
    """An instant for machines, to the second."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def percent(share: float | None) -> str:
    """A share, never called whole when it is not."""
    return "–" if share is None else f"{int(share * 100)} %"


def many(number: int, what: str) -> str:
    """A number of things."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


FILTERS: dict[str, Any] = {
    each.__name__: each for each in (strip, glyph, seen, named, place, badge, span, since, stamp, percent, many)
}
"""What templates call by name."""
