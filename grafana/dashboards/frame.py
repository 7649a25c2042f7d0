"""What all our dashboards share: variables above, links to each other and to the status page, panels in rows.

Must not know metrics beyond those that name what can be chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model
from style import SOURCE, STATUS_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

TAG = "maia"


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels under it, from left to right."""

    title: str
    panels: tuple[Any, ...]


def framed(
    *, uid: str, title: str, description: str, rows: Iterable[Row], variables: list[Any], since: str, refresh: str
) -> model.Dashboard:
    """A whole dashboard. Panels are numbered in their order, so that links to one stay good."""
    built = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .time(since, "now")
        .refresh(refresh)
        .timezone("browser")
        .editable()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([_datasource(), *variables, _status_page()])
        .link(
            dashboard.DashboardLink("Maia dashboards")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
        .link(
            dashboard.DashboardLink("Status page")
            .type(model.DashboardLinkType.LINK)
            .url("${status_page:raw}/")
            .icon("external link")
            .tooltip("The exporter's own page: messages of failures, and links to the runs in Maia")
            .target_blank(True)
        )
    )
    number = 0
    for row in rows:
        number += 1
        built = built.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            built = built.with_panel(panel.id(number))
    return built.build()


def of_many() -> list[Any]:
    """Choices of any number of accounts, projects, environments and pipelines."""
    chosen, variables = 'account=~"$account"', [account()]
    for name, label in CHOICES:
        variables.append(_query(name, f"label_values(maia_pipeline_info{{{chosen}}}, {label})", many=True))
        chosen += f',{label}=~"${name}"'
    return variables


def of_one() -> list[Any]:
    """The choice of one pipeline."""
    chosen, variables = 'account=~"$account"', [account()]
    for name, label in CHOICES:
        variables.append(_query(name, f"label_values(maia_pipeline_info{{{chosen}}}, {label})", many=False))
        chosen += f',{label}="${name}"'
    return variables


CHOICES = (("project", "project_name"), ("environment", "environment_name"), ("pipeline", "pipeline_name"))


def account() -> Any:
    """The choice of accounts; everything where scrape configs set none."""
    return _query("account", "label_values(maia_exporter_is_leader, account)", many=True)


def _query(name: str, query: str, *, many: bool) -> Any:
    variable = (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(many)
    )
    if not many:
        return variable
    return variable.include_all(True).all_value(".*").current(model.VariableOption(text="All", value="$__all"))


def _datasource() -> Any:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _status_page() -> Any:
    return (
        dashboard.TextBoxVariable("status_page")
        .label("Status page")
        .description("Where the exporter's own page is: its external_url")
        .default_value(STATUS_PAGE)
        .current(model.VariableOption(text=STATUS_PAGE, value=STATUS_PAGE))
    )
