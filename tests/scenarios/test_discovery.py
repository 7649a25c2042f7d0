"""Which pipelines there are, which projects let us in, and what a changed scope does."""

import pytest

from .service import EMPTY, LOAD, REFRESH, assert_shows_the_truth

QUARTER = 900.0
MANY = EMPTY.replace('name = "refresh.orch.yaml"', 'name = "refresh-{n}.orch.yaml"\ncount = 120')


def test_published_pipelines_have_their_series_at_0_before_they_ever_run(account, service):
    service.rounds()
    scraped = service.scrape()
    assert scraped.pipelines() == {("Finance", "prod", LOAD), ("Marketing", "prod", REFRESH)}
    assert set(scraped.each("maia_pipeline_runs_finished_total")) == {0.0}
    assert len(scraped.each("maia_pipeline_runs_finished_total", pipeline_name=LOAD)) == 6


def test_a_pipeline_first_known_by_a_run_shows_its_counters_at_0_for_one_poll(account, service):
    service.rounds(2)
    account.run("new.orch.yaml", status="FAILED", ago="5s", duration="1s")
    service.rounds()
    assert service.scrape().total("maia_pipeline_runs_finished_total", pipeline_name="new.orch.yaml") == 0
    assert service.scrape().value("maia_pipeline_consecutive_failures", pipeline_name="new.orch.yaml") == 1
    service.rounds()
    assert service.scrape().total("maia_pipeline_runs_finished_total", pipeline_name="new.orch.yaml") == 1


def test_a_deleted_pipeline_leaves_after_three_good_listings(account, service):
    account.run(status="SUCCESS", ago="1h", duration="1m")
    going = account.run(REFRESH)
    service.rounds(2)
    for project in ("Finance", "Marketing"):
        account.control("changes", {"project": project, "published": False})
    listings = []
    for _ in range(4):
        service.rounds(seconds=QUARTER)
        listings.append(len(service.scrape().pipelines()))
    assert listings == [2, 2, 2, 1]
    assert service.scrape().value("maia_exporter_pruned_pipelines_total", reason="deleted") == 1
    assert service.scrape().value("maia_pipeline_active_runs", pipeline_name=REFRESH, status="RUNNING") == 1
    account.end(going)
    service.rounds(5, seconds=QUARTER)
    assert service.scrape().value("maia_pipeline_runs_finished_total", pipeline_name=REFRESH, status="SUCCESS") == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500, "path": "*/environments"},
        {"kind": "status", "status": 403, "path": "*/published-pipelines"},
        {"kind": "status", "status": 500, "path": "/dpc/v1/projects"},
        {"kind": "malformed", "form": "no_name", "path": "*/published-pipelines"},
    ],
    ids=["no environments", "refused", "no projects", "a record that cannot be read"],
)
def test_a_listing_that_is_not_good_deletes_nothing(account, service, fault):
    service.rounds(2)
    account.control("faults", fault)
    service.rounds(8, seconds=QUARTER)
    assert service.scrape().pipelines() == {("Finance", "prod", LOAD), ("Marketing", "prod", REFRESH)}


def test_a_record_that_cannot_be_read_does_not_hide_the_other_pipelines(simulate, start):
    account = simulate(MANY)
    account.fault("malformed", form="no_name", path="*/published-pipelines")
    service = start(account)
    service.rounds(2)
    assert len(service.scrape().each("maia_pipeline_info", project_name="Marketing")) == 120 - 2  # one on each page
    assert service.scrape().value("maia_exporter_rejected_records_total") == 1  # nothing tells the two apart


def test_a_project_that_refuses_us_is_0_and_the_others_go_on(account, service):
    held = account.run(REFRESH, ago="2h")
    account.run(status="SUCCESS", ago="1h", duration="1m")
    service.rounds(2)
    account.control("changes", {"project": "Marketing", "forbidden": True})
    account.run(status="FAILED", ago="5s", duration="1s")
    account.end(held)
    assert not service.rounds()
    scraped = service.scrape()
    assert scraped.value("maia_project_up", project_name="Marketing") == 0
    assert scraped.value("maia_project_up", project_name="Finance") == 1
    assert scraped.value("maia_up") == 0
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name=LOAD, status="FAILED") == 1
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=REFRESH, status="RUNNING") == 1
    service.rounds(40)
    assert service.scrape().value("maia_project_up", project_name="Marketing") == 0
    account.control("changes", {"project": "Marketing", "forbidden": False})
    service.rounds(40)
    assert assert_shows_the_truth(service).value("maia_project_up", project_name="Marketing") == 1


def test_a_project_that_refuses_us_from_the_first_day_is_0(account, service):
    account.control("changes", {"project": "Marketing", "forbidden": True})
    assert service.rounds(2)
    scraped = service.scrape()
    assert scraped.value("maia_project_up", project_name="Marketing") == 0
    assert scraped.value("maia_up") == 1


def test_an_account_whose_projects_may_not_be_listed_is_shown_by_id(account, service, caplog):
    account.fault("status", status=403, path="/dpc/v1/projects")
    account.run()
    service.rounds(3)
    account.calls()
    service.poll()
    assert len(account.calls()) == 3
    project_id = account.control("truth")["projects"][0]["id"]
    assert service.scrape().value("maia_pipeline_active_runs", project_name=project_id, status="RUNNING") == 1
    assert sum("names cannot be had" in line for line in caplog.messages) == 1


def test_a_round_of_discovery_that_meets_the_budget_is_not_a_finished_one(simulate, start):
    projects = "".join(f'[[projects]]\nname = "P{number}"\n' for number in range(40))
    pipelines = "".join(f'[[pipelines]]\nproject = "P{number}"\nname = "it.yaml"\n' for number in range(40))
    account = simulate(f'history = "0s"\n{projects}{pipelines}')
    service = start(account, maia={"requests_per_minute": 40})
    service.rounds(30)
    assert len(service.scrape().pipelines()) == 40


def test_a_project_that_cannot_be_listed_does_not_hold_up_the_others(account, service):
    finance = account.control("truth")["projects"][0]["id"]
    account.fault("status", status=500, path=f"*/{finance}/environments")
    account.run("old.yaml", status="SUCCESS", ago="1h", duration="1m")
    service.rounds(10)
    assert ("Marketing", "prod", REFRESH) in service.scrape().pipelines()
    assert not service.state.cursor.sweeps


# --- scopes ---


def test_what_is_out_of_scope_is_not_shown_and_not_followed(account, start):
    account.run(), account.run(REFRESH, ago="3h")
    service = start(account, poll={"projects": ["Fin*"]})
    service.rounds(2)
    assert service.scrape().pipelines() == {("Finance", "prod", LOAD)}
    account.calls()
    service.poll()
    assert len(account.calls()) == 3


def test_what_a_wider_scope_brings_in_is_history(account, start):
    account.run(status="FAILED", ago="30m", duration="1m")
    account.run(REFRESH, status="FAILED", ago="1h", duration="1m")
    account.run(REFRESH, status="FORBIDDEN", undated=True)
    service = start(account, poll={"projects": ["Finance"]})
    service.rounds(2)
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    began = service.clock.now()
    for number in range(120):  # so that a page does not show all of it
        account.run(REFRESH, status="FAILED", ago=f"{number % 9}s", duration="0s")
    service.rounds()
    wider = service.restarted(poll={})
    account.run(status="FAILED", ago="5s", duration="1s")
    wider.rounds(3)
    scraped = wider.scrape()
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name=LOAD, status="FAILED") == 1
    assert scraped.total("maia_pipeline_runs_finished_total", pipeline_name=REFRESH) == 0
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 1 + 123
    assert scraped.value("maia_pipeline_consecutive_failures", pipeline_name=REFRESH) == 123
    wider.clock.pass_by(60)
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    wider.rounds(2)
    assert wider.scrape().total("maia_pipeline_runs_finished_total", pipeline_name=REFRESH) == 1
    assert began < wider.state.cursor.scopes[-1].since
    wider.end()


def test_a_wider_scope_after_an_outage_tells_the_old_pipelines_from_the_new(account, start, clock):
    """What ended while we were down is news for what we watched before, and history for what came in."""
    service = start(account, poll={"projects": ["Finance"]})
    service.rounds(2)
    going = account.run()
    service.rounds()
    service.end()
    for number in range(300):
        clock.pass_by(20)
        account.run((LOAD, REFRESH)[number % 2], status="FAILED", ago="5s", duration="1s")
    account.run("never-seen.yaml", status="FAILED", ago="5s", duration="1s", projectName="Finance")
    account.end(going, "FAILED")
    account.fault("status", status=503, path="/dpc/v1/pipeline-executions")
    wider = service.restarted(poll={})
    assert not wider.rounds(2)
    assert wider.scrape().pipelines() == {("Finance", "prod", LOAD)}
    account.mend()
    wider.rounds(4)
    scraped = wider.scrape()
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name=LOAD, status="FAILED") == 151
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name="never-seen.yaml", status="FAILED") == 1
    assert scraped.total("maia_pipeline_runs_finished_total", pipeline_name=REFRESH) == 0
    assert scraped.value("maia_pipeline_consecutive_failures", pipeline_name=REFRESH) == 150
    wider.end()


def test_what_leaves_the_scope_is_gone_at_once_and_its_counters_come_back_with_it(account, start):
    service = start(account)
    service.rounds(2)
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    account.run(REFRESH)
    service.rounds()
    narrower = service.restarted(poll={"projects": ["Finance"]})
    assert narrower.scrape().pipelines() == {("Finance", "prod", LOAD)}
    narrower.rounds()
    assert narrower.scrape().value("maia_exporter_pruned_pipelines_total", reason="filtered") == 1
    narrower = narrower.restarted()
    assert narrower.scrape().pipelines() == {("Finance", "prod", LOAD)}
    narrower.rounds()
    assert narrower.scrape().value("maia_exporter_pruned_pipelines_total", reason="filtered") == 1
    wide = narrower.restarted(poll={})
    wide.rounds()
    scraped = wide.scrape()
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name=REFRESH, status="FAILED") == 1
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=REFRESH, status="RUNNING") == 1
    wide.end()
