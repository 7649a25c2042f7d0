"""Promises 2 and 3 under kill -9: nothing is lost, at most one marked copy more per kill that hit a send in flight.

The short version of `python -m crash` (see its --help), which prints a table.
"""

import threading

import pytest
from delivery.targets import OK

from .harness import STEPS, Bench, killed_at, killed_at_random, killed_at_write

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("target", ["slack", "mail"])
def test_killed_at_any_step_of_a_delivery_it_loses_nothing_and_marks_what_it_repeats(tmp_path, target, step):
    tally = killed_at(tmp_path, target, step, kills=2)

    assert tally.good, tally
    assert tally.in_flight >= tally.kills, "the trigger was pulled in the middle of a send"
    if step != "connected":
        assert tally.extra[target] >= 2, "each was received, and sent again: otherwise this test proves nothing"


def test_killed_in_the_middle_of_a_digest_it_repeats_that_digest_and_no_other(tmp_path):
    tally = killed_at(tmp_path, "slack", "received", kills=2, runs=60, per_minute=20)

    assert tally.good, tally
    assert tally.extra["slack"] == 2


def test_killed_at_random_it_loses_nothing(tmp_path):
    tally = killed_at_random(tmp_path, [0.0, 0.7, 1.4, 0.3], runs=40)

    assert tally.good, tally


@pytest.mark.parametrize("write", [1, 2, 3, 5])
def test_killed_as_something_was_to_reach_the_disk_it_loses_nothing(tmp_path, write):
    tally = killed_at_write(tmp_path, write)

    assert tally is not None, "it asked less often"
    assert tally.good, tally


def test_restarts_with_nothing_new_tell_nobody_anything(tmp_path):
    with Bench(tmp_path) as bench:
        bench.begin()
        bench.fail(2)
        before = bench.finish().messages
        for _ in range(3):
            bench.service.end()
            bench.start().up()

        assert bench.finish().messages == before == {"slack": 2, "mail": 2}


def test_a_stop_in_the_middle_of_many_leaves_none_in_doubt(tmp_path):
    never = threading.Event()

    def slowly(_):
        never.wait(0.1)
        return OK

    with Bench(tmp_path) as bench:
        bench.begin()
        bench.slack.answer = slowly
        bench.fail(40)
        bench.slack.wait_for(3, timeout=60)
        bench.simulator.fault("hang", path="/dpc/v1/pipeline-executions")
        assert bench.service.end() == 0
        assert bench.leased() == 0
        bench.simulator.calm_down()
        tally = bench.finish()

    assert tally.good, tally
    assert not [post for post in bench.slack.posts if "possible repeat" in post.title]
