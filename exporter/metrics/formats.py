"""The two exposition formats: which one a client asks for, and where they differ.

Sample lines are the same in both; the heads of counters and the end differ.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from exporter.metrics.catalogue import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.metrics.catalogue import Metric


class Format(Enum):
    """An exposition format; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


END = {Format.TEXT: "", Format.OPENMETRICS: "# EOF\n"}
"""What follows the last family."""


def head(metric: Metric, form: Format) -> str:
    """The two lines before a family's samples."""
    name = metric.name
    if form is Format.OPENMETRICS and metric.kind is Kind.COUNTER:
        name = name.removesuffix("_total")
    return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n"


@lru_cache(maxsize=64)
def negotiated(accept: str) -> Format:
    """The format for an `Accept` header ("" when absent): the best by q, then the more explicit, then the first named.

    Text where the header leaves it open, and where it accepts neither: a scrape is better served than refused.
    """
    ranges = list(_ranges(accept))
    text = _preference(ranges, "text", "plain", "0.0.4")
    openmetrics = _preference(ranges, "application", "openmetrics-text", "1.0.0")
    return Format.OPENMETRICS if openmetrics.quality > 0 and openmetrics > text else Format.TEXT


@lru_cache(maxsize=64)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header ("" when absent) wants gzip at least as much as no encoding."""
    qualities: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        quality = _quality(parameters)
        if name and quality is not None:
            qualities["gzip" if name == "x-gzip" else name] = quality
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


class _Range(NamedTuple):
    kind: str
    subtype: str
    version: str
    quality: float


class _Preference(NamedTuple):
    quality: float
    explicitness: int
    earliness: int


def _ranges(accept: str) -> Iterator[_Range]:
    for item in accept.lower().split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        kind, slash, subtype = media.partition("/")
        quality = _quality(parameters)
        if slash and quality is not None:
            versions = [value.strip('" ') for name, value in _pairs(parameters) if name == "version"]
            yield _Range(kind.strip(), subtype.strip(), versions[0] if versions else "", quality)


def _preference(ranges: list[_Range], kind: str, subtype: str, version: str) -> _Preference:
    """What the most specific range that fits says."""
    best, most_specific = _Preference(0.0, 0, 0), (-1, False)
    for place, wanted in enumerate(ranges):
        if (
            wanted.kind not in (kind, "*")
            or wanted.subtype not in (subtype, "*")
            or wanted.version not in (version, "")
        ):
            continue
        explicitness = (wanted.kind != "*") + (wanted.subtype != "*")
        specificity = (explicitness, wanted.version != "")
        if specificity > most_specific:
            best, most_specific = _Preference(wanted.quality, explicitness, -place), specificity
    return best


def _quality(parameters: list[str]) -> float | None:
    """The weight among a range's parameters, 1 where there is none; None when it cannot be read."""
    for name, value in _pairs(parameters):
        if name == "q":
            try:
                quality = float(value)
            except ValueError:
                return None
            return quality if 0 <= quality <= 1 else None
    return 1.0


def _pairs(parameters: list[str]) -> Iterator[tuple[str, str]]:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        yield name.strip(), value.strip()
