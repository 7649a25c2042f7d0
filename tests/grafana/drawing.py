# ruff: noqa: E501 - markup does not get clearer in pieces
"""Draws a dashboard's panels from the answers to their queries, as HTML with SVG in it: a likeness, not Grafana."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import Any

from .boards import Panel, filled
from .life import END, T0
from .promhttp import Api, Rows

COLUMN, LINE, GAP = 56, 38, 8
POINTS = 120
PALETTE = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#37872d", "#e0b400", "#5794f2", "#fa6400")
NAMED = {"green": "#73bf69", "yellow": "#f2cc0c", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2",
         "purple": "#b877d9", "gray": "#9fa7b3"}  # fmt: skip


def drawn(api: Api, panel: Panel, **chosen: str) -> str:
    """A panel in its place."""
    place = panel.json["gridPos"]
    box = (place["w"] * COLUMN - GAP, place["h"] * LINE - GAP)
    style = f"left:{place['x'] * COLUMN}px;top:{place['y'] * LINE}px;width:{box[0]}px;height:{box[1]}px"
    inside = DRAW[panel.json["type"]](api, panel, (box[0] - 24, box[1] - 46), chosen)
    return f'<section style="{style}"><h2>{escape(panel.json["title"])}</h2>{inside}</section>'


def heading(row: dict[str, Any]) -> str:
    """A row's title in its place."""
    top = row["gridPos"]["y"] * LINE
    return f'<h1 style="top:{top}px">{escape(row["title"])}</h1>'


def _stat(api: Api, panel: Panel, size: tuple[int, int], chosen: dict[str, str]) -> str:
    rows = _instant(api, panel, chosen)[0]
    if not rows:
        return _nothing(panel)
    return "".join(
        f'<div class="big" style="color:{_colour(panel, value)};font-size:{34 if len(rows) == 1 else 20}px;'
        f'line-height:{size[1] // len(rows)}px">'
        f"{escape(_legend(panel, 0, labels)) + ' ' if len(rows) > 1 else ''}{escape(_mapped(panel, value))}</div>"
        for labels, value in rows
    )


def _bars(api: Api, panel: Panel, size: tuple[int, int], chosen: dict[str, str]) -> str:
    rows = sorted(_instant(api, panel, chosen)[0], key=lambda row: -row[1])[:10]
    if not rows:
        return _nothing(panel)
    most = rows[0][1] or 1
    height = size[1] // max(len(rows), 8)
    return "".join(
        f'<div class="bar" style="height:{height - 4}px"><span>{escape(_legend(panel, 0, labels))}</span>'
        f'<i style="width:{value / most * 45:.1f}%;background:{_colour(panel, value)}"></i>'
        f"<b>{escape(_shown(panel, value))}</b></div>"
        for labels, value in rows
    )


def _table(api: Api, panel: Panel, size: tuple[int, int], chosen: dict[str, str]) -> str:
    columns = {each["matcher"]["options"]: _properties(each) for each in panel.json["fieldConfig"]["overrides"]}
    merged: dict[tuple[str | None, ...], dict[str, Any]] = {}
    answers = _instant(api, panel, chosen)
    names = [{name for labels, _ in rows for name in labels} for rows in answers if rows]
    common = sorted(set.intersection(*names)) if names else []
    for letter, rows in zip("ABCDEFGHI", answers, strict=False):
        for labels, value in rows:
            row = merged.setdefault(tuple(map(labels.get, common)), {})
            row.update({**labels, f"Value #{letter}": value})
    if not merged:
        return _nothing(panel)
    sort = [each["displayName"] for each in panel.json.get("options", {}).get("sortBy", ())]
    found = list(merged.values())
    for name, looks in columns.items():
        if looks["displayName"] in sort:
            found.sort(key=lambda row: -(row.get(name) or 0))
    used = {name: looks for name, looks in columns.items() if any(name in row for row in found)}
    head = "".join(f"<th>{escape(looks['displayName'])}</th>" for looks in used.values())
    most = max(1, size[1] // 28 - 1)
    body = "".join(
        f"<tr>{''.join(_cell(row.get(name), looks) for name, looks in used.items())}</tr>" for row in found[:most]
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any, looks: dict[str, Any]) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, str):
        return f"<td>{escape(value if len(value) <= 40 else value[:12] + '…')}</td>"
    text = escape(in_unit(value, looks.get("unit", "short")))
    colour = _step(looks["thresholds"]["steps"], value) if "thresholds" in looks else "#ccccdc"
    if looks.get("custom.cellOptions", {}).get("type") == "gauge":
        share = min(value, 1) * 60
        return f'<td class="gauge"><i style="width:{share:.0f}%;background:{colour}"></i><b style="color:{colour}">{text}</b></td>'
    return f'<td class="number" style="color:{colour}">{text}</td>'


def _timeline(api: Api, panel: Panel, size: tuple[int, int], chosen: dict[str, str]) -> str:
    lines = [(_legend(panel, number, labels), values) for number, labels, values in _ranges(api, panel, chosen)]
    if not lines:
        return _nothing(panel)
    left, height = 330 if size[0] > 700 else 130, min(30, (size[1] - 18) // len(lines))
    step = _step_of(panel)
    svg = []
    for number, (name, values) in enumerate(lines):
        top = number * height
        svg.append(f'<text x="{left - 8}" y="{top + height * 0.65:.0f}" text-anchor="end">{escape(name[-52:])}</text>')
        for at, value in values.items():
            x, w = _x(at, left, size[0]), step / (END - T0).total_seconds() * (size[0] - left) + 0.6
            svg.append(
                f'<rect x="{x:.1f}" y="{top + 2}" width="{w:.1f}" height="{height - 4}" fill="{_colour(panel, value)}"/>'
            )
    known = [
        meaning
        for each in panel.json["fieldConfig"]["defaults"].get("mappings", ())
        for meaning in each["options"].values()
    ]
    key = "".join(f'<em><i style="background:{_css(each["color"])}"></i>{escape(each["text"])}</em>' for each in known)
    return f'<svg width="{size[0]}" height="{size[1] - 18}">{"".join(svg)}{_hours(left, size[0], size[1] - 20)}</svg><p>{key}</p>'


def _graph(api: Api, panel: Panel, size: tuple[int, int], chosen: dict[str, str]) -> str:
    found = [(_legend(panel, number, labels), values) for number, labels, values in _ranges(api, panel, chosen)]
    found = [(name, {at: value for at, value in values.items() if value == value}) for name, values in found]
    if not any(values for _, values in found):
        return _nothing(panel)
    custom = panel.json["fieldConfig"]["defaults"]["custom"]
    style, stacked = custom.get("drawStyle", "line"), custom.get("stacking", {}).get("mode") == "normal"
    lowest: dict[float, float] = {}
    shapes, most = [], 0.0
    for name, values in found:
        points = [(at, lowest.get(at, 0.0) if stacked else 0.0, value) for at, value in sorted(values.items())]
        if stacked:
            lowest |= {at: base + value for at, base, value in points}
        most = max([most, *(base + value for _, base, value in points)])
        shapes.append((name, points))
    most, left, bottom = most or 1.0, 62, size[1] - 40
    svg = [_hours(left, size[0], bottom + 14)]
    for tick in range(5):
        y = bottom - tick / 4 * (bottom - 8)
        svg.append(
            f'<line x1="{left}" x2="{size[0]}" y1="{y:.0f}" y2="{y:.0f}"/><text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{escape(_shown(panel, most * tick / 4))}</text>'
        )
    key = []
    for number, (name, points) in enumerate(shapes):
        colour = _series_colour(panel, name) or PALETTE[number % len(PALETTE)]
        svg.append(_shape(style, points, colour, most, (left, size[0], bottom), _step_of(panel)))
        key.append(f'<em><i style="background:{colour}"></i>{escape(name)}</em>')
    return f'<svg width="{size[0]}" height="{size[1] - 20}">{"".join(svg)}</svg><p>{"".join(key[:9])}</p>'


def _shape(style: str, points: Any, colour: str, most: float, box: tuple[int, int, int], step: float) -> str:
    left, right, bottom = box
    height = bottom - 8
    if style == "bars":
        width = max(1.0, step / (END - T0).total_seconds() * (right - left) - 1)
        return "".join(
            f'<rect x="{_x(at, left, right) - width:.1f}" y="{bottom - (base + value) / most * height:.1f}" width="{width:.1f}" height="{value / most * height:.1f}" fill="{colour}"/>'
            for at, base, value in points
            if value > 0 and _x(at, left, right) - width >= left - 1
        )
    placed = [(_x(at, left, right), bottom - value / most * height) for at, _, value in points]
    if style == "points":
        return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in placed)
    pieces, last = [], None
    for (x, y), (at, _, _) in zip(placed, points, strict=True):
        pieces.append(f"{'L' if last is not None and at - last <= step * 1.5 else 'M'}{x:.1f} {y:.1f}")
        last = at
    return f'<path d="{"".join(pieces)}" stroke="{colour}"/>'


DRAW = {"stat": _stat, "bargauge": _bars, "table": _table, "state-timeline": _timeline, "timeseries": _graph}


# What was asked.


def _step_of(panel: Panel) -> float:
    smallest = {"1m": 60, "5m": 300, "1h": 3600}[panel.json["interval"]]
    return min(max(smallest, (END - T0).total_seconds() / POINTS), 600)


def _instant(api: Api, panel: Panel, chosen: dict[str, str]) -> list[Rows]:
    return [api.at(filled(query, **chosen), END) for query in panel.queries]


def _ranges(api: Api, panel: Panel, chosen: dict[str, str]) -> list[tuple[int, dict[str, str], dict[float, float]]]:
    step = _step_of(panel)
    times = {"__interval": f"{step:.0f}s", "__rate_interval": f"{step + 60:.0f}s"}
    return [
        (number, labels, values)
        for number, query in enumerate(panel.queries)
        for labels, values in api.between(filled(query, **{**chosen, **times}), T0, END, step=step)
    ]


def _legend(panel: Panel, number: int, labels: dict[str, str]) -> str:
    pattern = panel.json["targets"][number]["legendFormat"]
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match.group(1), ""), pattern).strip()


# How it looks.


def _properties(override: dict[str, Any]) -> dict[str, Any]:
    return {each["id"]: each["value"] for each in override["properties"]}


def _series_colour(panel: Panel, name: str) -> str:
    for each in panel.json["fieldConfig"].get("overrides", ()):
        if re.search(each["matcher"]["options"].strip("/"), name):
            return _css(_properties(each)["color"]["fixedColor"])
    return ""


def _colour(panel: Panel, value: float) -> str:
    for each in panel.json["fieldConfig"]["defaults"].get("mappings", ()):
        if (meaning := each["options"].get(f"{value:.0f}")) is not None:
            return _css(meaning["color"])
    return _step(panel.json["fieldConfig"]["defaults"]["thresholds"]["steps"], value)


def _step(steps: list[dict[str, Any]], value: float) -> str:
    reached = [step for step in steps if step["value"] is None or value >= step["value"]]
    return _css(reached[-1]["color"])


def _css(colour: str) -> str:
    return NAMED.get(colour, colour)


def _mapped(panel: Panel, value: float) -> str:
    for each in panel.json["fieldConfig"]["defaults"].get("mappings", ()):
        if (meaning := each["options"].get(f"{value:.0f}")) is not None:
            return str(meaning["text"])
    return _shown(panel, value)


def _shown(panel: Panel, value: float) -> str:
    return in_unit(value, panel.json["fieldConfig"]["defaults"]["unit"])


def in_unit(value: float, unit: str) -> str:
    """A number as people read it."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "bool_yes_no":
        return "Yes" if value else "No"
    if unit == "s":
        size = abs(value)
        for seconds, name in ((86400, "days"), (3600, "hours"), (60, "min")):
            if size >= seconds:
                return f"{value / seconds:.3g} {name}"
        return f"{value:.3g} s"
    return f"{value:.3g}" + (" /min" if unit == "reqpm" else "")


def _nothing(panel: Panel) -> str:
    return f'<div class="nothing">{escape(panel.json["fieldConfig"]["defaults"]["noValue"])}</div>'


def _x(at: float, left: int, right: int) -> float:
    return left + (at - T0.timestamp()) / (END - T0).total_seconds() * (right - left)


def _hours(left: int, right: int, y: int) -> str:
    texts = []
    for quarter in range(1, 8):
        at = T0.timestamp() + quarter * 900
        texts.append(
            f'<text x="{_x(at, left, right):.0f}" y="{y}" text-anchor="middle">{datetime.fromtimestamp(at, UTC):%H:%M}</text>'
        )
    return "".join(texts)
