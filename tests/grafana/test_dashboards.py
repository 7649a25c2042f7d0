"""The dashboards as files: what the generator writes, complete panels, links that lead somewhere, queries that hold."""

import json
import subprocess
import sys

import promql_parser as promql
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.metrics.catalogue import ABOUT_THE_PROCESS, PRUNED

from .boards import BOARDS, FOLDER, filled, panels, variables, variables_in
from .queries import labels_of_metrics, metrics_of, wrong

EVERY = pytest.mark.parametrize("panel", panels(), ids=str)
BOARD = pytest.mark.parametrize("board", BOARDS)
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
STATUS_PAGE = "${status_page:raw}/"


def test_the_files_are_what_the_generator_writes():
    done = subprocess.run([sys.executable, FOLDER / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_four():
    assert set(BOARDS) == {"on-call", "pipeline", "fleet", "exporter"}
    assert len({board["uid"] for board in BOARDS.values()}) == 4


@BOARD
def test_grafanas_own_models_read_it_and_write_the_same(board):
    again = json.loads(json.dumps(Dashboard.from_json(BOARDS[board]), cls=JSONEncoder))
    assert again == BOARDS[board]


@BOARD
def test_one_can_choose_data_source_account_project_environment_and_pipeline(board):
    names = ["datasource", "account", "project", "environment", "pipeline", "status_page"]
    if board == "exporter":
        names = ["datasource", "account", "status_page"]
    assert list(variables(board)) == names
    for each in variables(board).values():
        if each["type"] == "query":
            assert each["datasource"] == SOURCE
            assert variables_in(each["query"]["query"]) <= set(names)


@EVERY
def test_a_panel_says_what_it_shows_in_which_unit_and_when_it_is_bad(panel):
    shown = panel.json["fieldConfig"]["defaults"]
    assert len(panel.json["description"]) > 20
    assert panel.json["description"].endswith(".")
    assert shown["unit"]
    assert shown["thresholds"]["steps"][0]["value"] is None
    assert shown["noValue"]
    values = [step["value"] for step in shown["thresholds"]["steps"][1:]]
    assert values == sorted(values)


@EVERY
def test_a_panel_asks_the_data_source_that_is_chosen(panel):
    assert panel.json["datasource"] == SOURCE
    assert panel.json["targets"]
    assert all(target["datasource"] == SOURCE for target in panel.json["targets"])
    references = [target["refId"] for target in panel.json["targets"]]
    assert len(set(references)) == len(references)


@EVERY
def test_a_query_is_promql_about_metrics_and_labels_that_exist(panel):
    for query in panel.queries:
        assert variables_in(query) <= set(variables(panel.board))
        assert wrong(filled(query), labels_of_metrics()) == []


OF_A_PROCESS = {metric.name for metric in ABOUT_THE_PROCESS} - {PRUNED.name}


def aggregations(node, above=()):
    """Every selector of a query with the aggregations around it, innermost first."""
    if isinstance(node, promql.VectorSelector):
        yield node, above
    if isinstance(node, promql.MatrixSelector):
        yield node.vector_selector, above
    if isinstance(node, promql.AggregateExpr):
        above = (node, *above)
    for name in ("expr", "lhs", "rhs"):
        child = getattr(node, name, None)
        if child is not None and not isinstance(node, (promql.VectorSelector, promql.MatrixSelector)):
            yield from aggregations(child, above)
    for child in getattr(node, "args", None) or ():
        yield from aggregations(child, above)


@EVERY
def test_replicas_are_merged_and_accounts_are_not(panel):
    for query in map(filled, panel.queries):
        for selector, above in aggregations(promql.parse(query)):
            *outer, merging = reversed(above) if above else (None,)
            if not any(selector.name.startswith(name) for name in OF_A_PROCESS):
                assert merging, query
                assert merging.modifier.type == promql.AggModifierType.Without
                assert {"instance", "pod"} <= set(merging.modifier.labels), query
            for each in outer:
                if each.modifier and each.modifier.type == promql.AggModifierType.By:
                    assert "account" in each.modifier.labels, query
                else:
                    assert each.modifier, f"merges accounts: {query}"


def urls(panel):
    """All links of a panel: its own and those of its data."""
    return [
        link["url"] for link in (*panel.json.get("links", ()), *panel.json["fieldConfig"]["defaults"].get("links", ()))
    ]


@EVERY
def test_a_link_leads_to_a_dashboard_of_ours_or_to_the_status_page(panel):
    for url in urls(panel):
        known = [f"/d/{board['uid']}?" for board in BOARDS.values()]
        assert url.startswith((*known, STATUS_PAGE)), url
        assert variables_in(url) <= set(variables(panel.board))


@BOARD
def test_a_dashboard_leads_to_the_others_and_to_the_status_page(board):
    links = BOARDS[board]["links"]
    assert [link["type"] for link in links] == ["dashboards", "link"]
    assert links[0]["tags"] == BOARDS[board]["tags"] == ["maia"]
    assert links[0]["includeVars"]
    assert links[1]["url"] == STATUS_PAGE
    own = f"/d/{BOARDS[board]['uid']}?"
    panel_links = {url for panel in panels(board) for url in urls(panel)}
    assert any(url.startswith("/d/") and not url.startswith(own) for url in panel_links)
    assert any(url.startswith(STATUS_PAGE) for url in panel_links)


def about_pipelines(panel):
    """Whether it is a table of pipelines, other than the one whose dashboard this is."""
    shown = {override["matcher"]["options"] for override in panel.json["fieldConfig"]["overrides"]}
    return panel.json["type"] == "table" and "pipeline_name" in shown and panel.board != "pipeline"


@pytest.mark.parametrize("panel", [each for each in panels() if about_pipelines(each)], ids=str)
def test_a_row_about_a_pipeline_leads_to_it_with_its_names(panel):
    to_pipeline, page = urls(panel)
    for variable, label in (("project", "project_name"), ("environment", "environment_name")):
        assert f"var-{variable}=${{__data.fields.{label}:percentencode}}" in to_pipeline
        assert f"{variable}=${{__data.fields.{label}:percentencode}}" in page
    assert "var-pipeline=${__data.fields.pipeline_name:percentencode}" in to_pipeline
    assert "q=${__data.fields.pipeline_name:percentencode}" in page


@BOARD
def test_panels_stand_side_by_side_and_have_numbers_of_their_own(board):
    taken = set()
    for each in BOARDS[board]["panels"]:
        place = each["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, each["title"]
        taken |= cells
    ids = [each["id"] for each in BOARDS[board]["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_metric_is_on_some_dashboard():
    asked = {name for panel in panels() for query in panel.queries for name in metrics_of(filled(query))}
    unshown = {name for name in labels_of_metrics() if name not in asked and not name.endswith(("_sum", "_count"))}
    assert unshown <= {"up", *NOT_DRAWN}, unshown


NOT_DRAWN = {
    "maia_pipeline_last_run_start_timestamp_seconds": "its end and duration are",
    "maia_exporter_last_poll_timestamp_seconds": "the last good poll is what counts",
}
