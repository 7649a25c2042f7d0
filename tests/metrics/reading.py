"""Reads an exposition as strictly as a test may: two parsers, and an own look at every line."""

import re
from typing import NamedTuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics.facts import FactsRenderer
from exporter.metrics.formats import Format
from exporter.metrics.snapshot import Snapshot

PARSERS = {Format.TEXT: parse_text, Format.OPENMETRICS: parse_openmetrics}

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
PAIR = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Series(NamedTuple):
    name: str
    labels: frozenset


def samples(text, form=Format.TEXT):
    """Every sample by name and labels, from the library's parser."""
    found = {}
    for family in PARSERS[form](text):
        for sample in family.samples:
            series = Series(sample.name, frozenset(sample.labels.items()))
            assert series not in found, f"twice: {series}"
            found[series] = sample.value
    return found


def assert_sound(text):
    """What neither parser minds: families in one block each, every series once, lines that end."""
    assert text.endswith("\n")
    blocks, series = [], set()
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            blocks.append(line.split(" ")[2])
        elif not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, f"no sample: {line!r}"
            name, labels, number = match.groups()
            float(number)
            assert name.startswith(blocks[-1]), f"{name} in the block of {blocks[-1]}"
            pairs = PAIR.findall(labels or "")
            assert len(dict(pairs)) == len(pairs), f"a label twice: {line!r}"
            key = (name, frozenset(pairs))
            assert key not in series, f"twice: {line!r}"
            series.add(key)
    assert len(set(blocks)) == len(blocks)


def text_of(facts, form=Format.TEXT):
    """The facts about Maia as text."""
    return facts.bodies[form].text().decode()


def rendered(state, **fields):
    """The samples of a state's facts."""
    return samples(text_of(FactsRenderer().render(Snapshot(state=state, **fields))))


def value(found, name, **labels):
    """The one sample of that name with (at least) these labels; None when there is none."""
    matching = [
        number for series, number in found.items() if series.name == name and labels.items() <= set(series.labels)
    ]
    assert len(matching) <= 1, f"{len(matching)} samples of {name} with {labels}"
    return matching[0] if matching else None
