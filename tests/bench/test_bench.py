"""The benchmarks run and say something sane: `scripts/bench --quick`, without a look at how long anything takes."""

import math
from pathlib import Path

import pytest

from .__main__ import PARTS
from .table import HEADING, Effort, Goal, Row, by_turns

QUICK = ("exposition", "poll", "record", "calls")
"""Those that are through in a few seconds each."""


@pytest.mark.parametrize("part", QUICK)
def test_a_part_measures_something(part):
    rows = list(PARTS[part](Effort(quick=True)))

    assert rows
    for row in rows:
        assert all(math.isfinite(number) and number > 0 for number in (*row.ours, *row.theirs)), row
        assert not row.theirs or (row.against and len(row.theirs) == len(row.ours)), row
        assert len(row.cells()) == len(HEADING)


def test_a_row_says_what_it_missed():
    slow = Row(what="x", unit="ms", ours=(3, 4, 5), theirs=(2, 2, 1), against="y", goal=Goal(1.5, of_ratio=True))

    assert slow.cells() == ("x", "4.00 ms (3.00 to 5.00)", "2.00 ms: y", "2.00 (1.50 to 5.00)", "≤ 1.5 × **missed**")
    assert Row(what="x", unit="/s", ours=(3, 4), goal=Goal(3, at_least=True)).cells()[-1] == "≥ 3.00 /s met"


def test_turns_change_who_is_first():
    order = []

    assert by_turns(lambda: order.append("a") or 1, lambda: order.append("b") or 2, 2) == ((1, 1), (2, 2))
    assert order == ["a", "b", "b", "a"]


def test_the_readme_shows_what_was_printed():
    root = Path(__file__).parent.parent.parent
    shown = (root / "README.md").read_text().partition("<!-- benchmarks")[2].partition("<!-- end of benchmarks")[0]
    printed = "\n".join(file.read_text() for file in (Path(__file__).parent / "results").glob("bench*.txt"))

    rows = [row for row in shown.splitlines() if row.startswith("| ")]

    assert len(rows) > 2
    assert [row for row in rows if row not in printed.splitlines()] == []
