"""Our own instruments' registry: makes them from the catalogue and renders them, plain and compressed.

Rendered only when something was said since the last time, or a second has passed. Must not know what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.openmetrics import exposition as openmetrics

from exporter.metrics import gzipping
from exporter.metrics.catalogue import LEADER_ONLY
from exporter.metrics.formats import END, Format
from exporter.metrics.recorded import Recorded

if TYPE_CHECKING:
    from exporter.metrics.catalogue import Metric

FRESH_FOR = 1.0
"""Seconds that a rendering stands while nothing is said: memory and CPU time move by themselves."""


@dataclass(frozen=True, slots=True)
class OwnText:
    """Our own families in one format, to the end of the page."""

    plain: bytes
    deflated: bytes


@dataclass(frozen=True, slots=True)
class _Kept:
    text: OwnText
    heard: object
    at: float


class OwnRegistry:
    """Two registries in one: what every process shows, and what only the leader shows."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it without annotations
        self.leading = True
        self._everybody = CollectorRegistry()
        self._leader = CollectorRegistry()
        ProcessCollector(registry=self._leader)
        self._heard = object()
        self._kept: dict[Format, _Kept] = {}

    def counter(self, metric: Metric) -> Counter:
        """A new counter."""
        return Counter(metric.name, metric.help, metric.labels, registry=self._of(metric))

    def gauge(self, metric: Metric) -> Gauge:
        """A new gauge, 0 until it is set."""
        return Gauge(metric.name, metric.help, metric.labels, registry=self._of(metric))

    def histogram(self, metric: Metric, *, buckets: tuple[float, ...]) -> Histogram:
        """A new histogram."""
        return Histogram(metric.name, metric.help, metric.labels, buckets=buckets, registry=self._of(metric))

    def recorded(self, metric: Metric) -> Recorded:
        """A new family that is set whole, absent until then."""
        recorded = Recorded(metric)
        self._of(metric).register(recorded)
        return recorded

    def heard(self) -> None:
        """Something was said, just now: what is kept is out of date."""
        self._heard = object()

    def rendered(self, form: Format, now: float) -> OwnText:
        """What we say of ourselves; the same object as long as nothing new is known. `now` is monotonic, in seconds."""
        kept, heard = self._kept.get(form), self._heard
        if kept is not None and kept.heard is heard and now - kept.at < FRESH_FOR:
            return kept.text
        registries = (self._everybody, self._leader) if self.leading else (self._everybody,)
        text = b"".join(_families(registry, form) for registry in registries) + END[form].encode()
        self._kept[form] = kept = _Kept(OwnText(text, gzipping.last_piece(text)), heard, now)
        return kept.text

    def _of(self, metric: Metric) -> CollectorRegistry:
        return self._leader if metric in LEADER_ONLY else self._everybody


def _families(registry: CollectorRegistry, form: Format) -> bytes:
    if form is Format.TEXT:
        return generate_latest(registry)
    text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # not annotated either
    return text.removesuffix(END[form].encode())
