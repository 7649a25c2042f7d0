"""Many runs at once, rows that shift or come late: no run is missed, and a poll costs what it may."""

import pytest

from .service import LOAD, REFRESH, assert_shows_the_truth


def started(service, pipeline=LOAD):
    return service.scrape().total("maia_pipeline_runs_started_total", pipeline_name=pipeline)


@pytest.fixture
def settled(account, service):
    """A service that knows the account and has nothing left to read."""
    service.rounds(3)
    account.calls()
    return service


@pytest.mark.parametrize(
    ("going", "starts", "ends"),
    [
        (0, 0, 0),
        (1, 0, 0),
        (99, 0, 0),
        (250, 0, 0),
        (0, 1, 0),
        (0, 99, 0),
        (0, 250, 0),
        (10, 30, 10),
        (150, 120, 40),
    ],
)
def test_a_poll_costs_three_calls_a_hundredth_of_what_goes_and_starts_and_one_for_each_end(
    account, service, clock, going, starts, ends
):
    """At most 3 + n/100 + s/100 + m, with n unfinished, s started and m finished since the last poll."""
    old = [account.run(ago="3h") for _ in range(going)]
    service.rounds(3)
    account.calls()
    for run_id in old[:ends]:
        account.end(run_id)
    for number in range(starts):
        account.run(ago=f"{number % 29}s")
    assert service.poll()
    assert len(account.calls()) <= 3 + (going - ends + starts) / 100 + starts / 100 + ends
    service.rounds()
    account.calls()
    assert service.poll()
    assert len(account.calls()) <= 3 + (going - ends + starts) / 100
    assert_shows_the_truth(service)


def test_an_idle_poll_costs_three_calls_however_long_the_past(account, service):
    for number in range(450):
        account.run(status=("SUCCESS", "FORBIDDEN")[number % 2], ago=f"{number}s", duration="0s")
    service.rounds(3)
    account.calls()
    service.poll()
    assert len(account.calls()) == 3


@pytest.mark.parametrize("status", ["RUNNING", "SUCCESS", "FAILED"])
def test_250_runs_that_start_at_once_are_all_seen(account, settled, clock, status):
    for _ in range(250):
        account.run(status=status, ago="3s", **({} if status == "RUNNING" else {"duration": "1s"}))
    settled.rounds()
    assert started(settled) == 250
    assert_shows_the_truth(settled)


def test_starts_in_the_very_second_of_a_poll_are_seen_on_either_side_of_it(account, settled):
    """The newest start that a poll saw is no border: more runs may have it."""
    for _ in range(30):
        account.run(status="SUCCESS", ago="0s", duration="0s")
    settled.poll()
    for _ in range(220):
        account.run(status="SUCCESS", ago="0s", duration="0s")
    settled.clock.pass_by(30)
    settled.poll()
    assert_shows_the_truth(settled)


def test_rows_that_shift_while_a_poll_pages_are_neither_lost_nor_counted_twice(account, settled, clock):
    account.fault("shift")
    settled.poll()
    clock.pass_by(30)
    for _ in range(320):
        account.run(status="SUCCESS", ago="10s", duration="2s")
    listing = settled.watch.desk.client.list_runs

    def list_runs(query, token=None, **kwargs):
        page = listing(query, token, **kwargs)
        account.run(REFRESH, status="SUCCESS", ago="0s", duration="0s")  # pushes every row one place down
        return page

    settled.watch.desk.client.list_runs = list_runs
    settled.poll()
    settled.watch.desk.client.list_runs = listing
    settled.rounds()
    assert_shows_the_truth(settled)


def test_a_row_that_comes_minutes_late_is_found_by_the_next_poll(account, settled, clock):
    account.fault("late", seconds=240, pipeline=REFRESH)
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    for _ in range(10):
        account.run(status="SUCCESS", ago="0s", duration="0s")
        settled.rounds()
    assert_shows_the_truth(settled)


def test_a_row_that_comes_later_than_any_overlap_is_found_by_the_hourly_audit(account, settled, clock, caplog):
    caplog.set_level("INFO")
    account.fault("late", seconds=1800, pipeline=REFRESH)
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    for _ in range(100):
        settled.rounds(seconds=30)
        account.run(status="SUCCESS", ago="0s", duration="0s")
    assert started(settled, REFRESH) == 0
    settled.rounds(60)
    assert_shows_the_truth(settled)
    assert "The hourly audit found runs that no poll had seen; they are taken in." in caplog.messages
    found = [record for record in caplog.records if record.message.startswith("The hourly audit")]
    assert [record.runs for record in found] == [1]


def test_late_rows_behind_a_full_page_are_read_as_long_as_they_keep_coming(account, settled):
    account.fault("late", seconds=60, pipeline=REFRESH)
    for _ in range(230):
        account.run(REFRESH, status="SUCCESS", ago="0s", duration="0s")
    account.run(status="SUCCESS", ago="0s", duration="0s")
    settled.rounds(3)
    assert_shows_the_truth(settled)


def test_a_late_row_is_found_behind_the_many_that_started_while_nobody_polled(account, settled, clock):
    for _ in range(60):
        account.run(ago="5s")
    settled.rounds()
    before = started(settled, REFRESH)
    # It is older than all that the last poll has seen, and was not there.
    account.run(REFRESH, status="FAILED", ago="45s", duration="1s")
    clock.pass_by(60)
    for _ in range(90):
        account.run()
    assert settled.poll()
    assert started(settled, REFRESH) == before + 1


def test_more_starts_than_a_poll_reads_follow_between_polls(account, settled):
    for number in range(1150):
        account.run(status="SUCCESS", ago=f"{number % 20}s", duration="0s")
    settled.poll()
    assert (
        1000
        <= settled.state.pipelines[next(k for k in settled.state.pipelines if k.pipeline_name == LOAD)].counts.started[
            2
        ]
        < 1150
    )
    settled.work()
    assert_shows_the_truth(settled)


def test_a_forbidden_run_without_times_behind_a_hundred_with_times_is_told_within_a_minute(account, service):
    for number in range(130):
        account.run(status="FORBIDDEN", ago=f"{number + 10}m", duration="0s")
    account.run(REFRESH, status="FORBIDDEN", undated=True)
    service.rounds(3)
    assert started(service, REFRESH) == 0, "it is history"
    account.run(REFRESH, status="FORBIDDEN", undated=True)  # the simulator lists it behind those with times
    service.rounds(2)
    assert started(service, REFRESH) == 1


def test_600_forbidden_runs_at_the_first_start_are_all_history(account, service):
    for number in range(600):
        account.run(status="FORBIDDEN", undated=number % 3 == 0, ago=f"{number}m")
    service.rounds(3)
    scraped = service.scrape()
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 600
    assert scraped.total("maia_pipeline_runs_finished_total") == 0
    account.run(status="FORBIDDEN", undated=True)
    service.rounds(130)
    scraped = service.scrape()
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 600
    assert scraped.total("maia_pipeline_runs_finished_total") == 1
