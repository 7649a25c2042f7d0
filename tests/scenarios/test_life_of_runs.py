"""What a run does, and what the service shows of it."""

import pytest

from .service import LOAD, REFRESH, assert_shows_the_truth


@pytest.fixture
def settled(account, service):
    service.rounds(3)
    return service


def test_history_fills_the_gauges_and_counts_nothing(account, service):
    account.run(status="FAILED", ago="3h", duration="1h")
    account.run(status="SUCCESS", ago="5h", duration="1h")
    account.run(REFRESH, status="SUCCESS", ago="1h", duration="1m")
    assert service.rounds(2)
    scraped = assert_shows_the_truth(service)
    assert scraped.total("maia_pipeline_runs_started_total") == 0
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 1


def test_history_behind_the_first_page_counts_nothing_either(account, service):
    for number in range(350):
        account.run(status=("SUCCESS", "FAILED")[number % 2], ago=f"{number + 1}m", duration="30s")
    service.poll()
    assert service.scrape().value("maia_up") == 1
    service.work()
    scraped = assert_shows_the_truth(service)
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 175
    assert scraped.total("maia_pipeline_runs_started_total") == 0


def test_a_run_is_followed_from_its_start_to_its_end(account, settled):
    run_id = account.run()
    settled.rounds()
    scraped = assert_shows_the_truth(settled)
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=LOAD, status="RUNNING") == 1
    account.end(run_id, "FAILED")
    settled.rounds()
    scraped = assert_shows_the_truth(settled)
    assert scraped.value("maia_pipeline_runs_started_total", pipeline_name=LOAD, trigger="SCHEDULE") == 1


def test_a_run_that_starts_and_ends_between_two_polls_is_found(account, settled):
    account.run(status="SUCCESS", ago="20s", duration="5s")
    settled.rounds()
    scraped = assert_shows_the_truth(settled)
    assert scraped.value("maia_pipeline_run_seconds_total", pipeline_name=LOAD, status="SUCCESS") == 5


def test_a_run_is_followed_for_weeks(account, settled, clock):
    run_id = account.run()
    for _ in range(20):
        settled.rounds(seconds=86_400)
        account.run(REFRESH, status="SUCCESS", ago="5s", duration="1s")
    assert settled.scrape().value("maia_pipeline_active_runs", pipeline_name=LOAD, status="RUNNING") == 1
    account.end(run_id, "FAILED")
    settled.rounds()
    assert_shows_the_truth(settled)


def test_a_run_that_was_going_before_us_counts_when_it_ends(account, service):
    run_id = account.run(ago="2h")
    service.rounds(2)
    account.end(run_id, "FAILED")
    service.rounds(2)
    scraped = assert_shows_the_truth(service)
    assert scraped.total("maia_pipeline_runs_started_total") == 0


def test_cancelling_is_seen_since_and_ends_as_cancelled(account, settled, clock):
    run_id = account.run(cancel="deaf")
    settled.rounds()
    project_id = account.control("truth")["projects"][0]["id"]
    settled.watch.desk.client.cancel(project_id, run_id, force=False)
    asked_at = clock.now().timestamp()
    settled.rounds(4)
    scraped = assert_shows_the_truth(settled)
    since = scraped.value("maia_pipeline_oldest_cancelling_since_timestamp_seconds", pipeline_name=LOAD)
    assert since == pytest.approx(asked_at, abs=1)
    account.end(run_id, "CANCELLED")
    settled.rounds()
    scraped = assert_shows_the_truth(settled)
    assert scraped.value("maia_pipeline_oldest_cancelling_since_timestamp_seconds", pipeline_name=LOAD) is None


def test_cancelled_and_skipped_leave_the_row_of_failures_alone(account, settled, clock):
    rows = []
    for status in ("FAILED", "CANCELLED", "FORBIDDEN", "SKIPPED", "FAILED", "SUCCESS", "SKIPPED", "FAILED"):
        account.run(status=status, ago="5s", duration="1s")
        settled.rounds()
        rows.append(assert_shows_the_truth(settled).value("maia_pipeline_consecutive_failures", pipeline_name=LOAD))
    assert rows == [1, 1, 2, 2, 3, 0, 0, 1]


def test_a_run_that_the_api_no_longer_knows_vanishes_after_two_polls_say_so(account, settled, caplog):
    run_id = account.run(ago="3h")
    settled.rounds()
    account.control(f"runs/{run_id}", method="DELETE")
    settled.rounds()
    assert settled.scrape().value("maia_pipeline_active_runs", pipeline_name=LOAD, status="RUNNING") == 1
    settled.rounds()
    scraped = settled.scrape()
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=LOAD, status="RUNNING") == 0
    assert scraped.total("maia_pipeline_runs_finished_total") == 0
    settled.rounds(3)
    assert sum("run vanished" in line for line in caplog.messages) == 1


def test_a_forbidden_run_without_times_counts_once_and_adds_no_seconds(account, settled, clock):
    account.run(REFRESH, status="FORBIDDEN", undated=True)
    settled.rounds(5)
    clock.pass_by(3700)
    settled.rounds(5)
    scraped = assert_shows_the_truth(settled)
    assert scraped.total("maia_pipeline_runs_started_total", pipeline_name=REFRESH) == 1
    assert scraped.total("maia_pipeline_run_seconds_total", pipeline_name=REFRESH) == 0
    assert scraped.value("maia_pipeline_last_run_end_timestamp_seconds", pipeline_name=REFRESH) is None


def test_a_status_nobody_knows_is_followed_until_it_has_an_end(account, settled):
    run_id = account.run(status="PAUSED", unfinished=True)
    settled.rounds(2)
    scraped = settled.scrape()
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=LOAD, status="UNKNOWN") == 1
    assert scraped.value("maia_exporter_unrecognised_values_total", field="status") > 0
    account.end(run_id, "EVAPORATED")
    settled.rounds(2)
    scraped = settled.scrape()
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=LOAD, status="UNKNOWN") == 0
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name=LOAD, status="UNKNOWN") == 1
    assert scraped.value("maia_pipeline_last_run_status", pipeline_name=LOAD, status="UNKNOWN") == 1


@pytest.mark.parametrize("form", ["no_id", "no_name", "not_object", "null", "number_status"])
def test_one_record_that_cannot_be_read_hides_no_other(account, settled, caplog, form):
    for _ in range(3):
        account.run(status="FAILED", ago="5s", duration="1s")
    account.fault("malformed", form=form)
    settled.rounds(3)
    scraped = settled.scrape()
    assert scraped.value("maia_up") == 1
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name=LOAD, status="FAILED") == 2
    assert scraped.value("maia_exporter_rejected_records_total") == 1
    assert sum("cannot be read" in line for line in caplog.messages) == 1
    account.mend()
    settled.rounds()
    assert_shows_the_truth(settled)


def test_late_ends_are_taken_in_whatever_order_they_come(account, settled):
    first, second = account.run(ago="3h"), account.run(ago="2h")
    settled.rounds()
    account.end(second, "FAILED")
    settled.rounds()
    account.end(first, "SUCCESS", finishedAt="2026-03-01T11:00:00Z")  # it says that it ended before the other
    settled.rounds()
    scraped = settled.scrape()
    assert scraped.value("maia_pipeline_last_run_status", pipeline_name=LOAD, status="FAILED") == 1
    assert scraped.value("maia_pipeline_consecutive_failures", pipeline_name=LOAD) == 1


def test_a_year_of_runs_leaves_memory_and_record_as_small_as_the_retention(account, start, clock):
    service = start(account, poll={"lookback": "1d"}, store={"retention": "2d"})
    for _ in range(40):
        account.run(status="SUCCESS", ago="5s", duration="1s")
        account.run(REFRESH, status="FORBIDDEN", undated=True)
        service.rounds(seconds=30)
        clock.pass_by(43_200)
    with service.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT status, count(*) FROM run GROUP BY status ORDER BY 1").all()
    # FORBIDDEN runs are kept as long as the API lists them: forgotten, an old one would look new.
    assert [tuple(row) for row in kept] == [("FORBIDDEN", 40), ("SUCCESS", 4)]
    scraped = assert_shows_the_truth(service)
    assert (
        scraped.total("maia_pipeline_runs_finished_total", pipeline_name=REFRESH) == 39
    )  # the first was there before us


def test_a_run_that_the_record_has_let_go_of_is_not_new_again_when_the_audit_meets_it(account, start):
    service = start(account, poll={"lookback": "1h"}, store={"retention": "3h"})
    service.rounds()
    account.run(status="FAILED", ago="1s", duration="1s")
    service.rounds(24, seconds=1800)
    with service.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM run").scalar_one()
    assert kept == 0
    scraped = service.scrape()
    assert scraped.total("maia_pipeline_runs_finished_total", pipeline_name=LOAD) == 1
    assert scraped.total("maia_pipeline_runs_started_total", pipeline_name=LOAD) == 1
