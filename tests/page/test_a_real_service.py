"""The page of a real process on a simulated account: what the record holds of runs, also after it was killed."""

import signal

import pytest
from e2e.conftest import stage
from e2e.processes import until

__all__ = ["stage"]

pytestmark = pytest.mark.e2e


def test_messages_and_strips_are_there_at_once_after_a_kill_though_the_api_is_down(stage):
    simulator = stage.simulator(script="failing", speed=0)
    service = stage.service(api=simulator.url, extra='[[limits]]\nname = "everything"\nwarn_after = "1h"\n')
    service.up()

    def told():
        found = service.get("/api/v1/status?q=always-fails").json()
        return found if found["bad_endings"] and len(found["pipeline_rows"][0]["recent_statuses"]) == 30 else None

    found = until(told, what="the history is read")
    ending, row = found["bad_endings"][0], found["pipeline_rows"][0]
    assert (row["health"], set(row["recent_statuses"])) == ("broken", {"FAILED"})
    assert "Load Ledger" in ending["message"]
    assert ending["url"] == f"https://app.matillion.com/observability-dashboard/pipeline/{ending['run_id']}"
    assert [limit["name"] for limit in found["limits"]] == ["everything"]
    assert found["config"]["maia"]["client_secret"] != "demo"
    service.end(signal.SIGKILL)
    simulator.end()

    service = stage.service(api=simulator.url, port=service.port)
    service.ready()
    again = service.get("/api/v1/status?q=always-fails").json()

    assert (again["pipeline_rows"][0]["recent_statuses"], again["bad_endings"]) == (
        row["recent_statuses"],
        found["bad_endings"],
    )
    assert "Load Ledger" in service.get("/").text
