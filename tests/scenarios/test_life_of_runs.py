"""What a run does, and what the service shows of it."""

from .service import LOAD, REFRESH, assert_shows_the_truth


def test_history_fills_the_gauges_and_counts_nothing(account, service):
    account.run(status="FAILED", ago="3h", duration="1h")
    account.run(status="SUCCESS", ago="5h", duration="1h")
    account.run(REFRESH, status="SUCCESS", ago="1h", duration="1m")
    assert service.rounds(2)
    scraped = assert_shows_the_truth(service)
    assert scraped.total("maia_pipeline_runs_started_total") == 0
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 1


def test_a_run_is_followed_from_its_start_to_its_end(account, service):
    service.rounds(2)
    run_id = account.run()
    service.rounds()
    scraped = assert_shows_the_truth(service)
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=LOAD, status="RUNNING") == 1
    account.end(run_id, "FAILED")
    service.rounds()
    scraped = assert_shows_the_truth(service)
    assert scraped.value("maia_pipeline_runs_started_total", pipeline_name=LOAD, trigger="SCHEDULE") == 1


def test_a_run_that_starts_and_ends_between_two_polls_is_found(account, service, clock):
    service.rounds(2)
    account.run(status="SUCCESS", ago="20s", duration="5s")
    service.rounds()
    assert_shows_the_truth(service)
