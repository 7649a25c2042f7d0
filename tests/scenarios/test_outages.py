"""Outages of the API, the network, ourselves: nothing is lost, counted twice or shown by half."""

from datetime import timedelta

import pytest

from exporter.store.errors import StoreUnavailable

from .service import EMPTY, LOAD, REFRESH, Service, assert_shows_the_truth

LISTS = "/dpc/v1/pipeline-executions"


@pytest.fixture
def settled(account, service):
    service.rounds(3)
    account.calls()
    return service


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"kind": "status", "status": 503}, "server"),
        ({"kind": "status", "status": 500, "body": "html"}, "server"),
        ({"kind": "status", "status": 403}, "forbidden"),
        ({"kind": "status", "status": 401}, "auth"),
        ({"kind": "html"}, "decode"),
        ({"kind": "reset"}, "network"),
        ({"kind": "rate_limited", "retry_after": 300.0}, "rate_limited"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_a_failed_poll_keeps_what_is_shown_and_says_so(account, settled, fault, cause):
    account.run()
    settled.rounds()
    before = settled.scrape()
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    # The second of the three lists fails: the first one's rows must not be shown either.
    account.control("faults", {"path": LISTS, "query": "status=FORBIDDEN*", **fault})
    assert not settled.rounds(2)
    during = settled.scrape()
    assert during.facts() == before.facts()
    assert during.value("maia_up") == 0
    assert during.value("maia_exporter_poll_failures_total", cause=cause) == 2
    seen_at = before.value("maia_exporter_last_successful_poll_timestamp_seconds")
    assert during.value("maia_exporter_last_successful_poll_timestamp_seconds") == seen_at
    account.mend()
    settled.clock.pass_by(300)
    assert settled.rounds(2)
    assert assert_shows_the_truth(settled).value("maia_up") == 1


def test_what_happened_in_a_long_outage_is_caught_up_with(account, settled, clock):
    lasting = [account.run() for _ in range(3)]
    settled.rounds()
    account.fault("status", status=502)
    for hour in range(20):
        settled.rounds()
        clock.pass_by(3600)
        for number in range(70):
            account.run(status=("SUCCESS", "FAILED")[hour % 2], ago=f"{number + 1}m", duration="10s")
    account.end(lasting[0], "FAILED")
    account.mend()
    assert settled.rounds()
    assert_shows_the_truth(settled)
    assert settled.scrape().value("maia_exporter_possibly_missed_runs_total") == 0


@pytest.mark.parametrize(("days", "missed"), [(6.9, 0), (7.5, 1)])
def test_an_outage_beyond_the_lookback_is_said_and_counted_once(account, settled, clock, caplog, days, missed):
    old = account.run()
    settled.rounds()
    clock.pass_by(3600)
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    account.end(old)
    restarted = settled.restarted()
    clock.pass_by(days * 86_400)
    restarted.rounds(3)
    assert sum("Runs may have been missed" in line for line in caplog.messages) == missed
    scraped = restarted.scrape()
    assert scraped.value("maia_exporter_possibly_missed_runs_total") == missed
    assert scraped.value("maia_pipeline_last_run_status", pipeline_name=LOAD, status="SUCCESS") == 1
    assert scraped.total("maia_pipeline_runs_finished_total", pipeline_name=REFRESH) == 1 - missed
    again = restarted.restarted()
    again.rounds()
    assert again.scrape().value("maia_exporter_possibly_missed_runs_total") == missed
    again.end()


def test_a_catch_up_goes_on_after_a_restart_in_the_middle(account, settled, clock):
    for number in range(1500):
        account.run(status="SUCCESS", ago=f"{number % 25}s", duration="0s")
    settled.poll()
    assert settled.state.cursor.sweeps
    restarted = settled.restarted()
    assert restarted.state.cursor == settled.state.cursor
    restarted.rounds(2)
    assert_shows_the_truth(restarted)
    restarted.end()


def test_a_sweep_goes_on_where_it_was_when_its_token_has_died(account, settled, clock):
    for number in range(1500):
        account.run(status="SUCCESS", ago=f"{number % 25}s", duration="0s")
    settled.poll()
    account.fault("status", status=400, path=LISTS, query="*paginationToken*", count=1)
    settled.work()
    assert not settled.state.cursor.sweeps
    assert_shows_the_truth(settled)


def test_a_restart_repeats_nothing_and_loses_nothing(account, settled, clock):
    going, ending = account.run(), account.run(REFRESH)
    settled.rounds()
    restarted = settled.restarted()
    assert restarted.scrape().facts() == settled.scrape().facts()
    account.end(ending, "FAILED")
    account.run(status="SUCCESS", ago="3s", duration="1s")
    restarted.rounds()
    assert_shows_the_truth(restarted)
    account.end(going)
    restarted = restarted.restarted()
    restarted.rounds(2)
    assert_shows_the_truth(restarted)
    restarted.end()


def test_a_poll_that_could_not_be_written_is_taken_again(account, settled, monkeypatch):
    account.run(REFRESH, status="FAILED", ago="5s", duration="1s")
    database, before = settled.database, settled.scrape().facts()

    def transaction():
        raise StoreUnavailable("the disk is full")

    whole, database.transaction = database.transaction, transaction
    assert not settled.poll()
    assert settled.scrape().facts() == before
    assert settled.scrape().value("maia_exporter_poll_failures_total", cause="store") == 1
    assert not settled.readiness.verdict().good
    database.transaction = whole
    assert settled.rounds()
    assert_shows_the_truth(settled)
    assert settled.readiness.verdict().good


def test_an_outage_at_the_first_start_makes_no_news_of_what_ended_in_it(account, service, clock):
    """It begins to watch with its first good poll, not with its first try."""
    account.fault("status", status=503, path=LISTS)
    service.rounds(2)
    for number in range(150):
        account.run(status="FAILED", ago="10s", duration=f"{number % 9}s")
    clock.pass_by(600)
    account.mend()
    assert service.rounds(3)
    scraped = service.scrape()
    assert scraped.total("maia_pipeline_runs_finished_total") == 0
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 150


def test_without_an_answer_nothing_is_dated_by_our_own_clock(account, service, clock):
    """Our clock may be off by hours; the first answer brings the server's."""
    account.control("clock", {"offset": "-3h"})
    account.fault("reset", path="/dpc/v1/projects")
    assert not service.poll()
    assert service.state.cursor.scopes == ()
    account.mend()
    assert service.poll()
    assert service.state.cursor.scopes[0].since <= clock.now() - timedelta(hours=3)


def test_names_that_cannot_be_had_are_asked_for_once_a_poll_and_stop_nothing(account, service, caplog):
    account.run(), account.run(REFRESH)
    account.fault("status", status=500, path="/dpc/v1/projects")
    service.poll()
    service.clock.pass_by(30)
    account.calls()
    assert service.poll()
    assert sum("/dpc/v1/projects?" in call for call in account.calls()) == 1
    assert service.scrape().total("maia_pipeline_active_runs") == 2
    assert sum("names cannot be had" in line for line in caplog.messages) == 1
    account.mend()
    service.rounds(2)
    assert_shows_the_truth(service)


def test_a_token_that_dies_early_costs_one_more_and_loses_nothing(simulate, start, clock):
    account = simulate("token")
    service = start(account)
    for _ in range(60):
        assert service.rounds()
    assert_shows_the_truth(service, since=clock.now() - timedelta(seconds=1800))


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_machine_whose_clock_is_off_shows_the_same(simulate, start, clock, hours):
    account = simulate(f'clock_offset = "{hours}h"\n{EMPTY}')
    account.run(status="FAILED", ago="1h", duration="10m")
    going = account.run(ago="2h")
    service: Service = start(account)
    service.rounds(2)
    since = clock.now() + timedelta(hours=hours) - timedelta(seconds=60)
    scraped = assert_shows_the_truth(service, since=since)
    assert scraped.value("maia_exporter_clock_skew_seconds") == pytest.approx(hours * 3600, abs=1)
    account.end(going, "FAILED")
    account.run(REFRESH, status="SUCCESS", ago="5s", duration="1s")
    service.rounds(2)
    assert_shows_the_truth(service, since=since)


def test_one_run_that_cannot_be_read_keeps_its_state_and_stops_nobody(account, settled):
    poisoned, other = account.run(ago="3h"), account.run(REFRESH, ago="3h")
    account.run(status="SUCCESS", ago="5s", duration="1s")  # so that the list of recent runs does not show them
    settled.rounds()
    account.fault("status", status=500, path=f"*/pipeline-executions/{poisoned}")
    account.end(poisoned), account.end(other)
    assert not settled.rounds()
    settled.rounds()
    scraped = settled.scrape()
    assert scraped.value("maia_up") == 0
    assert scraped.value("maia_pipeline_active_runs", pipeline_name=LOAD, status="RUNNING") == 1
    assert scraped.value("maia_pipeline_runs_finished_total", pipeline_name=REFRESH, status="SUCCESS") == 1
    account.mend()
    assert settled.rounds()
    assert_shows_the_truth(settled)


def test_more_ends_than_the_budget_lets_us_read_take_several_polls(account, start):
    service = start(account, maia={"requests_per_minute": 60})
    many = [account.run(ago=f"{number}m") for number in range(150)]
    service.rounds(6)
    for run_id in many:
        account.end(run_id)
    shown = []
    for _ in range(10):
        service.rounds()
        shown.append(service.scrape().total("maia_pipeline_runs_finished_total"))
    assert 0 < shown[0] < 150
    assert shown == sorted(shown)
    assert_shows_the_truth(service)
