"""How long to wait after failures in a row."""

from datetime import timedelta
from random import Random

import pytest

from exporter.core.backoff import pause_after


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 5), (1, 5), (2, 20), (3, 60), (100, 60)],
)
def test_pauses_grow_to_a_minute(failures, seconds):
    assert pause_after(failures, uniform=lambda low, _: low) == timedelta(seconds=seconds)


def test_a_target_that_is_back_is_found_within_two_minutes_at_no_more_than_a_try_a_minute():
    chance = Random(7)
    pauses = [pause_after(failures, uniform=chance.uniform).total_seconds() for failures in range(3, 1_000)]
    assert min(pauses) >= 60
    assert max(pauses) <= 100
    assert len(set(pauses)) > 900
