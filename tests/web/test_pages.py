"""What else is served: health, status, and the page for people."""

import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from exporter.core.model import PipelineKey, Run, Status
from exporter.core.state import FinishedRun, PipelineState, RunRecord, State
from exporter.metrics.snapshot import Snapshot

from .serving import NOON, Service, pipelines


def get(service, path):
    return httpx.get(service.url + path)


def test_healthy_as_long_as_every_worker_is_alive(service):
    alive = {"poller": True, "notifier": True}
    for name in alive:
        service.workers.register(name, lambda name=name: alive[name])
    got = get(service, "/-/healthy")
    assert (got.status_code, got.text) == (200, "alive: poller, notifier\n")
    alive["poller"] = False
    got = get(service, "/-/healthy")
    assert (got.status_code, got.text) == (503, "not alive: poller\n")


READINESS = [
    ([], 503, "no poll has succeeded yet", "at the first start"),
    (["shown"], 200, "ready", "a poll was good, or the record has one"),
    (["shown", "full"], 503, "the store cannot be written: the disk is full", "what a poll finds would be lost"),
    (["shown", "full", "works"], 200, "ready", "space again"),
    (["standby"], 200, "standing by for the leader", "a standby is ready"),
    (["standby", "leads"], 503, "no poll has succeeded yet", "it took over and has nothing to show yet"),
    (["standby", "full"], 503, "the store cannot be written: the disk is full", "it could not take over"),
]


@pytest.mark.parametrize(("told", "status", "reason", "why"), READINESS)
def test_ready_when_the_store_can_be_written_and_there_is_something_to_show(service, told, status, reason, why):
    say = {
        "shown": service.readiness.has_something_to_show,
        "full": lambda: service.readiness.store_failed("the disk is full"),
        "works": service.readiness.store_works,
        "standby": service.readiness.stands_by,
        "leads": service.readiness.leads,
    }
    for word in told:
        say[word]()
    got = get(service, "/-/ready")
    assert (got.status_code, got.text) == (status, reason + "\n"), why


def of_nobody():
    key = PipelineKey("", "", "<script>alert(1)</script>")
    return {key: PipelineState(key=key, first_seen_at=NOON, watched_since=NOON)}


def words(service, path="/"):
    """What is to be read on the page."""
    return " ".join(re.sub(r"<[^>]*>", "", get(service, path).text).split())


def busy_state():
    known = {**pipelines(3), **of_nobody()}
    first = next(iter(known))
    known[first] = replace(
        known[first],
        last_run=FinishedRun(
            order=(0.0, "r"), status=Status.FAILED, started_at=None, finished_at=None, duration_seconds=None
        ),
    )

    def record(run_id, key, start, **fields):
        run = Run(run_id=run_id, pipeline=key, status=Status.RUNNING, status_text="RUNNING", started_at=start)
        return RunRecord(run=replace(run, user="ann@example.org", message="secret"), first_seen_at=NOON, **fields)

    records = [
        record("young", first, NOON - timedelta(minutes=1)),
        record("old", first, NOON - timedelta(hours=2)),
        record("undated", PipelineKey("", "", "<script>alert(1)</script>"), None),
        record("gone", first, NOON, vanished_at=NOON),
    ]
    return State(
        pipelines=known,
        unfinished={one.run.run_id: one for one in records},
        project_names={"5e1f": "<b>Finance</b>"},
    )


def test_the_status_tells_versions_ages_unfinished_runs_and_how_many_pipelines(service):
    service.exposition.publish(Snapshot(state=busy_state(), max_pipelines=2))
    service.ours.poll_succeeded(NOON - timedelta(seconds=90), seconds=1.0)
    service.ours.poll_failed("timeout", NOON - timedelta(seconds=30), seconds=1.0)
    got = get(service, "/api/v1/status")
    assert got.headers["content-type"] == "application/json"
    status = got.json()
    runs = status["unfinished_runs"]
    assert (
        status.items()
        >= {
            "version": "1.2.3",
            "now": "2026-01-31T12:00:00Z",
            "leading": True,
            "up": False,
            "last_poll_at": "2026-01-31T11:59:30Z",
            "last_poll_age_seconds": 30.0,
            "last_successful_poll_at": "2026-01-31T11:58:30Z",
            "data_age_seconds": 90.0,
            "last_poll_failure": "timeout",
            "poll_interval_seconds": 30.0,
        }.items()
    )
    assert (
        status["pipelines"].items()
        >= {"tracked": 4, "shown": 2, "over_cap": 2, "by_last_status": {"FAILED": 1}, "broken": 1, "running": 2}.items()
    )
    assert [run["run_id"] for run in runs] == ["old", "young", "undated"]
    assert (
        runs[0].items()
        >= {
            "run_id": "old",
            "project_name": "<b>Finance</b>",
            "environment_name": "prod",
            "pipeline_name": "finance/load-00000.orch.yaml",
            "status": "RUNNING",
            "started_at": "2026-01-31T10:00:00Z",
            "age_seconds": 7200.0,
        }.items()
    )
    assert runs[2]["age_seconds"] is None


def test_neither_page_nor_status_tells_users_or_messages_to_anybody(service):
    service.exposition.publish(Snapshot(state=busy_state()))
    for path in ("/", "/api/v1/status", "/metrics"):
        assert "ann@example.org" not in get(service, path).text
        assert "secret" not in get(service, path).text


def test_a_follower_tells_nothing_about_runs(service):
    service.exposition.publish(Snapshot(state=busy_state()))
    service.ours.follows()
    status = get(service, "/api/v1/status").json()
    assert (status["leading"], status["unfinished_runs"], status["pipelines"]["tracked"]) == (False, [], 0)
    assert "standing by" in get(service, "/").text


def test_the_page_says_what_people_ask_first(service):
    service.exposition.publish(Snapshot(state=busy_state(), max_pipelines=2))
    assert "no data yet" in words(service)
    service.ours.poll_succeeded(NOON - timedelta(hours=26, minutes=5), seconds=1.0)
    service.ours.poll_failed("auth", NOON - timedelta(seconds=30), seconds=1.0)
    page = words(service)
    assert "Maia Exporter 1.2.3" in page
    assert "data 1 d 2 h old" in page
    assert "Polls fail (auth); the last one was 30 s ago" in page
    assert "What you see is what was found 1 d 2 h ago" in page
    assert "1 broken" in page
    assert "2 running" in page
    assert "2 pipelines are not in the metrics" in page


LINKS = [("", ""), ("https://example.org", ""), ("https://example.org/ops/maia", "/ops/maia")]


@pytest.mark.parametrize(("external_url", "prefix"), LINKS)
def test_links_honour_the_path_of_the_external_url_and_lead_somewhere(external_url, prefix):
    with Service(external_url=external_url) as service:
        service.readiness.has_something_to_show()
        page = get(service, "/").text
        links = re.findall(r'(?:href|src|action)="([^"#]+)"', page)
        wanted = ("/metrics", "/-/healthy", "/-/ready", "/api/v1/status", "/", "/?status=running")
        assert {prefix + path for path in wanted} <= set(links)
        assert all(link.startswith(prefix + "/") for link in links)
        for link in links:
            assert get(service, link).status_code == 200, "a proxy may pass the whole path on"
            assert get(service, link.removeprefix(prefix)).status_code == 200, "or take the prefix off"
        assert get(service, prefix + "/").text == page


def test_a_path_that_only_begins_like_the_prefix_is_another():
    with Service(external_url="https://example.org/maia") as service:
        assert get(service, "/maiametrics").status_code == 404
        assert get(service, "/maia").status_code == 200


def test_the_page_needs_nothing_from_elsewhere_and_allows_nothing_but_our_own_files(shared):
    got = get(shared, "/")
    policy = got.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|https?:|\*|data:", policy)
    assert not re.search(r"<style|<script(?! src=)|<[^>]* (?:style|on\w+)=", got.text), "the policy would forbid it"
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', got.text)
    assert got.headers["x-content-type-options"] == "nosniff"


def test_what_others_have_written_is_inert_on_the_page(service):
    service.readiness.store_failed('<script>alert("x")</script>')
    page = get(service, "/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_unknown_paths_are_not_found_and_wrong_methods_not_allowed(shared):
    assert get(shared, "/nothing").status_code == 404
    assert httpx.post(shared.url + "/-/ready").status_code == 405
    assert httpx.head(shared.url + "/").status_code == 200
