"""A tenure: what may be begun in it, and what may still be ended."""

from datetime import timedelta

import pytest
from delivery.post import FakeClock

from exporter.clock import Mark
from exporter.leadership import SURE_SECONDS, Tenure
from exporter.store.database import Database


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def tenure(tmp_path, clock):
    database = Database.open(f"sqlite:///{tmp_path / 'store.db'}", exclusive=True)
    renewed = Mark.of(clock)
    yield Tenure(database, holds=lambda: not renewed.aged(clock, SURE_SECONDS))
    database.close()


def test_at_a_stop_nothing_new_is_begun_and_what_was_begun_is_ended(tenure):
    assert tenure.holds
    tenure.stop()

    assert not tenure.holds
    assert tenure.is_ours
    assert tenure.over.is_set()
    assert tenure.bell.is_set()


def test_when_another_leads_nothing_is_ended_either(tenure):
    tenure.end()

    assert not tenure.holds
    assert not tenure.is_ours


@pytest.mark.parametrize("slept", ["stopped", "suspended"])
def test_whoever_slept_is_not_sure_of_anything(tenure, clock, slept):
    if slept == "stopped":
        clock.pass_by(SURE_SECONDS + 1)
    else:
        clock.at += timedelta(seconds=SURE_SECONDS + 1)  # the monotonic clock stands still meanwhile

    assert not tenure.holds
    assert not tenure.is_ours
    assert not tenure.over.is_set()
