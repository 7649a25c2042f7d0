"""Whatever the API answers where its documentation is silent, the service shows the truth: a row for each [?]."""

import pytest

from .service import EMPTY, LOAD, REFRESH, assert_shows_the_truth

DIALECTS = {
    "as documented": "",
    "a second status is refused": 'status_values = "refuse"',
    "of two statuses the first counts": 'status_values = "first"',
    "of two statuses the last counts": 'status_values = "last"',
    "a run by id comes bare": "wrapped_run = false",
    "a run by id omits its project": "run_omits_project_id = true",
    "what is absent is null": "nulls = true",
    "six fraction digits": "fraction_digits = 6",
    "fractions and offsets of every kind": "mixed_times = true",
    "times without a zone": 'zone = ""',
    "times two hours east": 'zone = "+02:00"',
    "undated runs come last": 'undated_order = "last"',
    "undated runs come first": 'undated_order = "first"',
    "undated runs stand where they were made": 'undated_order = "created"',
    "undated runs pass the filters on time": 'undated_order = "first"\nundated_match_times = true',
    "errors are web pages": "html_errors = true",
    "page tokens are places": 'page_tokens = "offset"',
    "lists without counts": "page_counts = false",
    "runs of refused projects are listed": "list_forbidden_projects = true",
}


@pytest.fixture(params=DIALECTS.values(), ids=DIALECTS)
def account(request, simulate):
    return simulate(f"{EMPTY}\n[answers]\n{request.param}\n")


def test_a_day_of_runs_is_shown_as_it_was(account, start):
    account.run(status="SUCCESS", ago="5h", duration="1h", trigger="DESIGNER", user="ada@example.com")
    account.run(status="FAILED", ago="3h", duration="1h")
    account.run(REFRESH, status="FORBIDDEN", undated=True)
    ancient = account.run(REFRESH, ago="216h")
    stopping = account.run(ago="2h", status="CANCELLING")
    service = start(account)
    assert service.rounds(2)
    assert_shows_the_truth(service)

    account.run(status="SUCCESS", ago="25s", duration="10s")
    hourly = account.run(trigger="API")
    account.run(REFRESH, status="FORBIDDEN", undated=True)
    service.rounds()
    assert_shows_the_truth(service)

    account.end(stopping, "CANCELLED")
    account.end(hourly, "FAILED")
    account.end(ancient)
    service.rounds()
    assert_shows_the_truth(service)

    account.run(status="SKIPPED", ago="20s", duration="0s")
    again = account.run(ago="20s")
    service = service.restarted()
    service.rounds()
    scraped = assert_shows_the_truth(service)
    assert scraped.value("maia_notifications_suppressed_total", reason="baseline") == 2
    account.end(again)
    assert service.rounds(2)
    scraped = assert_shows_the_truth(service)
    assert scraped.value("maia_pipeline_runs_started_total", pipeline_name=LOAD, trigger="API") == 1
    service.end()


def test_two_statuses_in_one_call_are_given_up_once_and_for_the_better(account, start, caplog):
    service = start(account)
    account.run(), account.run(REFRESH, status="CANCELLING")
    service.rounds(4)
    assert sum("one status a call" in line for line in caplog.messages) == int("status_values" in account.script)
