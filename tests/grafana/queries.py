"""What a PromQL query asks for, read from its syntax tree: which metrics, and which of their labels."""

from collections.abc import Iterator
from pathlib import Path

import promql_parser as promql
import yaml

from exporter.metrics.catalogue import METRICS, Kind

GRAFANA = Path(__file__).parents[2] / "grafana"
RULES = GRAFANA / "prometheus" / "rules.yml"

OF_THE_TARGET = {"account", "job", "instance", "pod"}
"""Labels that a scrape config sets."""


def rules() -> list[dict]:
    """Every rule of the file, alerts and recorded series."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def labels_of_metrics() -> dict[str, set[str]]:
    """Every series that can be asked for, with the labels it has: ours by the catalogue, and `up`."""
    known: dict[str, set[str]] = {"up": set()}
    for metric in METRICS:
        if metric.kind is Kind.HISTOGRAM:
            known[f"{metric.name}_bucket"] = {*metric.labels, "le"}
            known[f"{metric.name}_sum"] = known[f"{metric.name}_count"] = set(metric.labels)
        else:
            known[metric.name] = set(metric.labels)
    return {name: labels | OF_THE_TARGET for name, labels in known.items()}


def selectors(query: str) -> list[promql.VectorSelector]:
    """Every selector of a query. ValueError when it is no PromQL."""
    return [each for each in _nodes(query) if isinstance(each, promql.VectorSelector)]


def metrics_of(query: str) -> set[str]:
    """The names of all series that a query asks for."""
    return {each.name for each in selectors(query)}


def wrong(query: str, known: dict[str, set[str]]) -> list[str]:
    """What a query names that does not exist."""
    found = []
    everywhere: set[str] = set()
    for selector in selectors(query):
        if selector.name not in known:
            found.append(f"there is no metric {selector.name}")
            continue
        everywhere |= known[selector.name]
        found += [
            f"{selector.name} has no label {matcher.name}"
            for matcher in selector.matchers.matchers
            if matcher.name not in known[selector.name]
        ]
    return found + [f"nothing here has a label {label}" for label in _grouping(query) if label not in everywhere]


def _grouping(query: str) -> Iterator[str]:
    """The labels after by, without, on, ignoring and group_left."""
    for node in _nodes(query):
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            yield from node.modifier.labels
        if isinstance(node, promql.BinaryExpr) and node.modifier:
            yield from node.modifier.matching.labels if node.modifier.matching else ()
            yield from node.modifier.group_labels or ()


def _nodes(query: str) -> list[promql.Expr]:
    nodes: list[promql.Expr] = []
    promql.walk(promql.parse(query), nodes.append)
    return nodes
