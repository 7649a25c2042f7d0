"""Draws the readings of a soak as an SVG: small panels above each other, one line each, from zero."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

PANELS = ((1, "memory, MB"), (2, "open files"), (3, "threads"), (4, "record, MB"), (5, "a poll, ms"))
"""Column of a reading, and what it is."""

WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 90, 110, 46, 26
STYLE = """
text { font: 12px sans-serif; fill: #57606a } .title { font-size: 14px; fill: #24292f }
.axis { stroke: #d0d7de } .line { fill: none; stroke: #0969da; stroke-width: 1.5 }
rect { fill: #ffffff }
"""


def drawn(readings: Sequence[tuple[float, ...]], *, title: str) -> str:
    """The picture; the first column is the hours."""
    hours = max(reading[0] for reading in readings)
    height = TOP + len(PANELS) * (HEIGHT + GAP) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}"/><text class="title" x="12" y="24">{escape(title)}</text>',
    ]
    for number, (column, name) in enumerate(PANELS):
        parts.append(panel(readings, column, name, hours=hours, top=TOP + number * (HEIGHT + GAP)))
    bottom = TOP + len(PANELS) * (HEIGHT + GAP) - 8
    marks = (hours * quarter / 4 for quarter in range(5))
    parts += [
        f'<text x="{across(mark, hours):.0f}" y="{bottom}" text-anchor="middle">{mark:.0f} h</text>' for mark in marks
    ]
    return "\n".join([*parts, "</svg>\n"])


def panel(readings: Sequence[tuple[float, ...]], column: int, name: str, *, hours: float, top: int) -> str:
    """One line over the hours, with its largest value."""
    most = max(reading[column] for reading in readings) or 1
    bottom = top + HEIGHT
    points = " ".join(
        f"{across(reading[0], hours):.1f},{bottom - reading[column] / most * (HEIGHT - 10):.1f}" for reading in readings
    )
    return (
        f'<text x="12" y="{top + HEIGHT // 2}">{escape(name)}</text>'
        f'<text x="{LEFT - 6}" y="{top + 14}" text-anchor="end">{most:,.0f}</text>'
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - 20}"/><polyline class="line" points="{points}"/>'
    )


def across(at: float, hours: float) -> float:
    return LEFT + at / hours * (WIDTH - 20 - LEFT)
