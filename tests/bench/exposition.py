"""Building the page: our renderer beside `prometheus_client.generate_latest` over the same families.

Ours makes four pages of it, text and OpenMetrics, plain and gzip; `generate_latest` makes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from time import perf_counter

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.metrics.facts import FactsRenderer
from exporter.metrics.formats import Format
from exporter.metrics.snapshot import Snapshot

from .accounts import busier, state_of
from .table import Effort, Row, by_turns


def measure(effort: Effort) -> Iterator[Row]:
    for pipelines in (200,) if effort.quick else (200, 2_000, 10_000):
        state = state_of(pipelines, seed=1)
        shown = Snapshot(state=state, max_pipelines=pipelines)
        theirs = Reference(FactsRenderer().render(shown).bodies[Format.TEXT].text())
        for what, share in (("every pipeline changed", 1.0), ("one pipeline in twenty changed", 0.05), ("nothing", 0)):
            others = [busier(state, share, seed=seed) if share else state for seed in (2, 3)]
            ours = Renderer(shown, [replace(shown, state=other) for other in others])
            our_times, their_times = by_turns(ours, theirs, min(effort.repeats, 5))
            yield Row(
                what=f"render {pipelines:,} pipelines, {what}",
                unit="ms",
                ours=our_times,
                theirs=their_times,
                against="generate_latest, always everything",
            )


class Renderer:
    """Renders one snapshot after another, as polls do."""

    def __init__(self, first: Snapshot, others: list[Snapshot]) -> None:
        self._renderer = FactsRenderer()
        self._snapshots = cycle(others)
        self._renderer.render(first)
        self._renderer.render(others[-1])

    def __call__(self) -> float:
        snapshot = next(self._snapshots)
        began = perf_counter()
        self._renderer.render(snapshot)
        return (perf_counter() - began) * 1e3


class Reference:
    """Generates the same families, which were read from our own page."""

    def __init__(self, page: bytes) -> None:
        self._families = list(text_string_to_metric_families(page.decode()))
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def collect(self) -> list[Metric]:
        return self._families

    def __call__(self) -> float:
        began = perf_counter()
        generate_latest(self._registry)
        return (perf_counter() - began) * 1e3
