"""The lists of the guide as the API may spell them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.core.model import Project, Status
from exporter.maia import wire_lists
from exporter.maia.answers import Environment, PublishedPipeline, Rejection, Schedule, Step
from exporter.maia.fields import UnreadableError


def read(reader: Any, *records: Any, **envelope: Any) -> wire_lists.ListPage[Any]:
    return wire_lists.list_page(json.dumps({"results": records} | envelope).encode(), reader)


FULL_STEP = {
    "id": "s",
    "name": "Load",
    "result": {
        "status": "FAILED",
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:01.5Z",
        "message": "no such table",
    },
    "childPipeline": {"id": "child", "name": "load.orch.yaml"},
}


@pytest.mark.parametrize(
    ("reader", "record", "item"),
    [
        (wire_lists.project, {"id": "p", "name": "Finance", "description": "d"}, Project("p", "Finance", "d")),
        (wire_lists.project, {"id": "p", "name": "Finance", "description": None}, Project("p", "Finance", "")),
        (wire_lists.project, {"id": "p"}, Project("p", "p", "")),
        (
            wire_lists.environment,
            {"name": "prod", "defaultAgentName": "runner", "defaultAgentId": "a"},
            Environment(name="prod", default_agent_name="runner", default_agent_id="a"),
        ),
        (
            wire_lists.environment,
            {"name": "prod", "defaultAgentID": "a"},
            Environment(name="prod", default_agent_id="a"),
        ),
        (wire_lists.environment, {"name": "prod"}, Environment(name="prod")),
        (
            wire_lists.published_pipeline,
            {"name": "x.orch.yaml", "publishedTime": "2026-01-01T00:00:00.12Z"},
            PublishedPipeline(name="x.orch.yaml", published_at=datetime(2026, 1, 1, 0, 0, 0, 120_000, UTC)),
        ),
        (wire_lists.published_pipeline, {"name": "x.orch.yaml"}, PublishedPipeline(name="x.orch.yaml")),
        (
            wire_lists.schedule,
            {
                "scheduleId": "s",
                "name": "nightly",
                "pipelineName": "x",
                "environmentName": "prod",
                "cronExpression": "0 0 1 * * ?",
                "cronTimezone": "UTC",
                "scheduleEnabled": False,
                "nextRunAt": "2026-01-01T01:00:00Z",
            },
            Schedule(
                name="nightly",
                schedule_id="s",
                pipeline_name="x",
                environment_name="prod",
                cron_expression="0 0 1 * * ?",
                cron_timezone="UTC",
                enabled=False,
                next_run_at=datetime(2026, 1, 1, 1, tzinfo=UTC),
            ),
        ),
        (wire_lists.schedule, {"name": "nightly", "pipelineName": "x"}, Schedule(name="nightly", pipeline_name="x")),
        (
            wire_lists.step,
            FULL_STEP,
            Step(
                step_id="s",
                name="Load",
                status=Status.FAILED,
                status_text="FAILED",
                started_at=datetime(2026, 1, 1, tzinfo=UTC),
                finished_at=datetime(2026, 1, 1, 0, 0, 1, 500_000, UTC),
                message="no such table",
                child_run_id="child",
                child_pipeline_name="load.orch.yaml",
            ),
        ),
        (wire_lists.step, {"id": "s", "name": "Load", "result": None}, Step(step_id="s", name="Load")),
        (wire_lists.step, {}, Step()),
    ],
)
def test_a_record_is_read(reader: Any, record: Any, item: Any):
    page = read(reader, record)

    assert page.items == ((item, record),)
    assert (page.rejected, page.unrecognised, page.length) == ((), (), 1)


@pytest.mark.parametrize(
    ("reader", "record", "rejection"),
    [
        (wire_lists.project, {"name": "x"}, Rejection("results[0].id", "absent")),
        (wire_lists.environment, {"name": ""}, Rejection("results[0].name", "empty")),
        (wire_lists.published_pipeline, {"name": 1}, Rejection("results[0].name", "expected a text, got a number")),
        (wire_lists.schedule, {}, Rejection("results[0].name", "absent")),
        (wire_lists.step, [], Rejection("results[0]", "expected an object, got a list")),
    ],
)
def test_a_bad_record_is_skipped_and_still_counts_for_paging(reader: Any, record: Any, rejection: Rejection):
    page = read(reader, record, {"id": "good", "name": "good"})

    assert [item.name for item, _ in page.items] == ["good"]
    assert page.rejected == (rejection,)
    assert page.length == 2


@pytest.mark.parametrize(
    ("reader", "record", "note"),
    [
        (wire_lists.published_pipeline, {"name": "x", "publishedTime": "soon"}, ("publishedTime", "soon")),
        (wire_lists.schedule, {"name": "x", "scheduleEnabled": "yes"}, ("scheduleEnabled", "yes")),
        (wire_lists.step, {"result": "fine"}, ("result", "fine")),
        (wire_lists.step, {"childPipeline": ["c"]}, ("childPipeline", "['c']")),
        (wire_lists.step, {"result": {"status": "PAUSED"}}, ("status", "PAUSED")),
    ],
)
def test_what_is_not_understood_is_left_out_and_noted(reader: Any, record: Any, note: tuple[str, str]):
    assert read(reader, record).unrecognised == (note,)


@pytest.mark.parametrize(
    ("envelope", "size", "total"),
    [
        ({"page": 0, "size": 25, "total": 60}, 25, 60),
        ({"size": 0, "total": 0}, 0, 0),  # the guide's own example
        ({}, 0, 0),  # seen for steps
        ({"size": "25", "total": None}, 0, 0),
        ({"size": True, "total": -1}, 0, 0),
    ],
)
def test_the_extent_is_what_the_answer_says_or_0(envelope: dict[str, Any], size: int, total: int):
    page = read(wire_lists.project, **envelope)

    assert (page.size, page.total) == (size, total)


def test_an_answer_that_is_no_list_is_refused():
    with pytest.raises(UnreadableError, match="results: expected a list, got nothing"):
        wire_lists.list_page(b"{}", wire_lists.project)
