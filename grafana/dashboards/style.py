"""How our panels look: each has a title, a description, a unit and thresholds, and asks the chosen data source.

Must not know metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
STATUS_PAGE = "http://localhost:9986"
"""The exporter's page: its `external_url` goes here, see README, Prometheus rules."""

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "gray"
NEUTRAL = ((None, BLUE),)
"""For numbers that are neither good nor bad."""

Steps = tuple[tuple[float | None, str], ...]

OUTCOMES = {
    "SUCCESS": GREEN,
    "FAILED": RED,
    "FORBIDDEN": PURPLE,
    "CANCELLED": ORANGE,
    "SKIPPED": BLUE,
    "UNKNOWN": GREY,
}
"""A colour for each way a run ends; never the only sign, the word stands beside it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One query of a panel and what its series are called."""

    expr: str
    legend: str = "__auto"
    ref: str = "A"


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a table looks; `name` is a label, or `Value #A` for the query A."""

    name: str
    title: str
    unit: str = ""
    thresholds: Steps = ()
    bar: bool = False
    hidden: bool = False


def bad_above(*limits: float) -> Steps:
    """Green, then yellow and red from these values on; with one limit red only."""
    colours = (RED,) if len(limits) == 1 else (YELLOW, RED)
    return ((None, GREEN), *zip(limits, colours, strict=True))


def bad_below(warning: float, good: float) -> Steps:
    """Red, yellow from `warning`, green from `good`."""
    return ((None, RED), (warning, YELLOW), (good, GREEN))


def link(title: str, url: str, *, elsewhere: bool = False) -> dashboard.DashboardLink:
    """A link of a panel's data, or of a panel."""
    return dashboard.DashboardLink(title).url(url).target_blank(elsewhere)


def to_pipeline(field: str) -> list[dashboard.DashboardLink]:
    """To the dashboard of the pipeline that was clicked, and to the status page. `field`: where its labels are."""
    values = {
        name: f"${{{field}.{label}:percentencode}}"
        for name, label in (
            ("account", "account"),
            ("project", "project_name"),
            ("environment", "environment_name"),
            ("pipeline", "pipeline_name"),
        )
    }
    chosen = "&".join(f"var-{name}={value}" for name, value in values.items())
    page = "${status_page:raw}/?" + "&".join(
        f"{name}={values[chosen]}"
        for name, chosen in (("project", "project"), ("environment", "environment"), ("q", "pipeline"))
    )
    return [
        link("Pipeline", f"/d/maia-pipeline?${{datasource:queryparam}}&{chosen}&${{__url_time_range}}"),
        link("Status page", page, elsewhere=True),
    ]


CELL = "__data.fields"
SERIES = "__field.labels"


def to_dashboard(title: str, uid: str) -> list[dashboard.DashboardLink]:
    """To another dashboard with the same choices and time."""
    return [link(title, f"/d/{uid}?${{datasource:queryparam}}&${{account:queryparam}}&${{__url_time_range}}")]


def stat_panel(title: str, description: str, *asks: Ask, unit: str, thresholds: Steps, **more: Any) -> stat.Panel:
    """One big number, or one for each account."""
    panel = (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_mode(looks.BigValueColorMode.VALUE)
        .graph_mode(looks.BigValueGraphMode.NONE)
    )
    return _finished(panel, title, description, asks, unit, thresholds, instant=True, **{"w": 4, "h": 4, **more})


def graph(
    title: str,
    description: str,
    *asks: Ask,
    unit: str,
    thresholds: Steps = NEUTRAL,
    bars: bool = False,
    points: bool = False,
    colours: dict[str, str] | None = None,
    line_at_thresholds: bool = False,
    **more: Any,
) -> timeseries.Panel:
    """Values over time: lines, stacked bars that add up, or a point for each value."""
    panel = (
        timeseries.Panel()
        .legend(
            common.VizLegendOptions()
            .display_mode(looks.LegendDisplayMode.LIST)
            .placement(looks.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .axis_soft_min(0)
    )
    if bars:
        panel = (
            panel.draw_style(looks.GraphDrawStyle.BARS)
            .fill_opacity(80)
            .line_width(0)
            .stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
        )
    elif points:
        panel = panel.draw_style(looks.GraphDrawStyle.POINTS).point_size(5)
    else:
        panel = panel.fill_opacity(10).show_points(looks.VisibilityMode.NEVER)
    if line_at_thresholds:
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
    for name, colour in (colours or {}).items():
        panel = panel.override_by_regexp(f"/{name}/", [_property("color", {"mode": "fixed", "fixedColor": colour})])
    return _finished(panel, title, description, asks, unit, thresholds, **{"w": 12, "h": 8, **more})


def timeline(title: str, description: str, *asks: Ask, mappings: list[Any], thresholds: Steps, **more: Any) -> Any:
    """What state something was in, over time."""
    panel = statetimeline.Panel().mappings(mappings).merge_values(True).show_value(looks.VisibilityMode.AUTO)
    panel = panel.row_height(0.8).line_width(0).fill_opacity(80)
    return _finished(panel, title, description, asks, "short", thresholds, **{"w": 24, "h": 8, **more})


def bars_panel(title: str, description: str, *asks: Ask, unit: str, thresholds: Steps, **more: Any) -> bargauge.Panel:
    """The largest few, as bars."""
    panel = (
        bargauge.Panel()
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return _finished(panel, title, description, asks, unit, thresholds, instant=True, **{"w": 12, "h": 8, **more})


def rows(
    title: str, description: str, *asks: Ask, columns: list[Column], unit: str, thresholds: Steps, **more: Any
) -> table.Panel:
    """A table: one row a pipeline (or target), one column a query. The first column that has bars or a unit sorts."""
    panel = table.Panel().show_header(True).frame_index(0)
    if len(asks) > 1:
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    order = {column.name: number for number, column in enumerate(columns)}
    hidden = {"Time": True, **{column.name: True for column in columns if column.hidden}}
    options = {"excludeByName": hidden, "indexByName": order, "renameByName": {}}
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))
    for column in columns:
        if not column.hidden:
            panel = panel.override_by_name(column.name, _column(column))
    if (sorted_by := more.pop("sort", "")) != "":
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sorted_by).desc(True)])
    return _finished(
        panel, title, description, asks, unit, thresholds, instant=True, as_table=True, **{"w": 24, "h": 8, **more}
    )


def value(number: int, text: str, colour: str) -> tuple[str, model.ValueMappingResult]:
    """What a number means."""
    return str(number), model.ValueMappingResult(text=text, color=colour, index=number)


def meanings(*values: tuple[str, model.ValueMappingResult]) -> list[Any]:
    """What numbers mean, for a panel."""
    return [model.ValueMap(options=dict(values))]


def _column(column: Column) -> list[model.DynamicConfigValue]:
    properties = [_property("displayName", column.title)]
    if column.unit:
        properties.append(_property("unit", column.unit))
    if column.thresholds:
        steps = [{"value": at, "color": colour} for at, colour in column.thresholds]
        properties.append(_property("thresholds", {"mode": "absolute", "steps": steps}))
        cell = {"type": "gauge", "mode": "basic"} if column.bar else {"type": "color-text"}
        properties.append(_property("custom.cellOptions", cell))
    return properties


def _property(name: str, content: Any) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=content)


def _finished(
    panel: Any,
    title: str,
    description: str,
    asks: tuple[Ask, ...],
    unit: str,
    thresholds: Steps,
    *,
    w: int,
    h: int,
    instant: bool = False,
    as_table: bool = False,
    links: list[Any] | None = None,
    data_links: list[Any] | None = None,
    interval: str = "1m",
    no_value: str = "no data",
    decimals: int | None = None,
    mappings: list[Any] | None = None,
    max_value: float | None = None,
) -> Any:
    panel = panel.title(title).description(description).datasource(SOURCE).unit(unit).span(w).height(h)
    panel = panel.interval(interval).no_value(no_value)
    steps = [model.Threshold(value=at, color=colour) for at, colour in thresholds]
    panel = panel.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    for number, ask in enumerate(asks):
        query = (
            prometheus.Dataquery()
            .datasource(SOURCE)
            .expr(ask.expr)
            .ref_id(ask.ref if number == 0 else "ABCDEFGHI"[number])
        )
        query = query.legend_format(ask.legend)
        query = query.instant() if instant else query.range()
        panel = panel.with_target(query.format(PromQueryFormat.TABLE) if as_table else query)
    if links:
        panel = panel.links(links)
    if data_links:
        panel = panel.data_links(data_links)
    if decimals is not None:
        panel = panel.decimals(decimals)
    if mappings:
        panel = panel.mappings(mappings)
    if max_value is not None:
        panel = panel.max(max_value)
    return panel
