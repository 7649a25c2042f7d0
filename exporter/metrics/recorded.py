"""Families whose values stand somewhere else, in the record or in a moment, and are only shown here.

Unlike an instrument, one of these can be absent, and a counter goes on after a restart where it had stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from exporter.metrics.catalogue import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exporter.metrics.catalogue import Metric


class Recorded(Collector):
    """A gauge or counter; absent until it is set."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._values: Mapping[str, float] | Mapping[tuple[str, ...], float] = {}

    def set(self, value: float) -> None:
        """Show this value; for a metric without labels."""
        self._values = {"": value}

    def set_each(self, values: Mapping[str, float] | Mapping[tuple[str, ...], float]) -> None:
        """Show these values and no others, by the label's value, or by the values of several in their order.

        The mapping is kept: nobody changes it afterwards.
        """
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The family as it stands."""
        metric = self._metric
        family_type = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        family = family_type(metric.name, metric.help, labels=metric.labels)
        for labels, value in self._values.items():
            family.add_metric(_listed(labels) if metric.labels else [], value)
        yield family


def _listed(labels: str | tuple[str, ...]) -> list[str]:
    return [labels] if isinstance(labels, str) else list(labels)
