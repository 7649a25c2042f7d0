"""One line for a person, one count for a record, everything else passed on."""

from datetime import UTC, datetime

import pytest

from exporter.maia.answers import Rejection
from exporter.oddities import Oddities


class Heard:
    """Remembers what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *what: self.told.append((name, *what))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def oddities(heard):
    return Oddities(heard)


def test_what_is_not_odd_is_passed_on(oddities, heard, caplog):
    oddities.request_finished("/v1/projects", "200", 0.1)
    oddities.throttled("budget", 0.5)
    oddities.token_renewed(datetime(2026, 3, 1, tzinfo=UTC))
    assert heard.told == [
        ("request_finished", "/v1/projects", "200", 0.1),
        ("throttled", "budget", 0.5),
        ("token_renewed", datetime(2026, 3, 1, tzinfo=UTC)),
    ]
    assert caplog.messages == []


def test_a_bad_record_is_counted_and_logged_once_however_often_it_is_read(oddities, heard, caplog):
    bad = Rejection("results[3].status", "expected text, got a number", "r1")
    for rejection in (bad, Rejection("results[7].status", bad.reason, "r1"), bad):
        oddities.rejected(rejection)
    oddities.rejected(Rejection("results[3].status", bad.reason, "r2"))
    assert [each[1].run_id for each in heard.told] == ["r1", "r2"]
    assert len(caplog.messages) == 2


def test_a_record_without_an_id_is_known_by_its_content_and_else_by_its_place(oddities, heard):
    for path, content in (("results[0]", 7), ("results[3]", 7), ("results[0]", 8)):
        oddities.rejected(Rejection(path, "no id", content=content))
    assert len(heard.told) == 2
    for path in ("results[0]", "results[0]", "results[1]"):
        oddities.rejected(Rejection(path, "no name"))
    assert len(heard.told) == 4


def test_an_unknown_value_is_counted_each_time_and_logged_once(oddities, heard, caplog):
    for value in ("PAUSED", "PAUSED", "FROZEN"):
        oddities.unrecognised("status", value)
    assert len(heard.told) == 3
    assert len(caplog.messages) == 2


def test_what_was_told_long_ago_is_forgotten_so_that_memory_has_an_end(oddities, heard, caplog):
    for number in range(10_001):
        oddities.unrecognised("status", f"word {number}")
    caplog.clear()
    oddities.unrecognised("status", "word 10000")
    assert caplog.messages == []
    oddities.unrecognised("status", "word 0")
    assert len(caplog.messages) == 1


def test_a_clock_that_is_off_is_logged_when_it_begins_and_when_it_ends(oddities, heard, caplog):
    caplog.set_level("INFO")
    for seconds in (1.0, 59.0, -90.0, 120.0, 3.0, 0.0):
        oddities.clock_skew(seconds)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert [each[1] for each in heard.told] == [1.0, 59.0, -90.0, 120.0, 3.0, 0.0]
