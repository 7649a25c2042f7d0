"""Many notices in one message: every run id is in it once, it fits, and its first lines say the worst."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core import exporter_notice
from exporter.core.digest import WORST_FIRST, digest, fitting
from exporter.core.messages import BODY_LIMIT, REPEAT, TITLE_LIMIT
from exporter.core.model import PipelineKey, Status
from exporter.core.notice import EventKind, Notice
from exporter.core.run_notice import run_notice
from exporter.core.state import RunRecord

from .story import FINANCE, at, run

GOLDEN = Path(__file__).parents[1] / "data/golden/messages"
BERLIN = ZoneInfo("Europe/Berlin")
ID = "3f0c9a6e-7d1b-4c55-9a43-{:012d}".format
PAGE = "https://exporter.example.com/"
HOW = {"link": PAGE, "zone": BERLIN}


def told(number, event=EventKind.FAILED, *, minute=None, pipeline="nightly.orch.yaml", stage="", message="", late=0):
    end = number if minute is None else minute
    status = Status(event.value) if event.value in Status.__members__ else Status.SUCCESS
    record = RunRecord(run=run(ID(number), status, end=end, pipeline=pipeline, message=message), first_seen_at=at(end))
    return run_notice(event, record, project="Finance", detected_at=at(end + late), stage=stage)


def overdue(pipeline="daily.orch.yaml", minute=50):
    return Notice(
        event_id=f"{FINANCE}/prod/{pipeline}:OVERDUE:2026-01-05T00:01:00Z",
        event=EventKind.OVERDUE,
        occurred_at=at(minute),
        detected_at=at(minute),
        subject=f"{pipeline} in prod (Finance)",
        pipeline=PipelineKey(FINANCE, "prod", pipeline),
    )


A_BAD_NIGHT = [
    *(told(number, message=f"Connection to warehouse {number} timed out") for number in range(1, 5)),
    told(5, EventKind.OVER_LIMIT, pipeline="finance/slow.orch.yaml"),
    told(5, EventKind.CANCEL, stage="requested", minute=6, pipeline="finance/slow.orch.yaml"),
    told(7, EventKind.RECOVERED),
    told(8, EventKind.FORBIDDEN, pipeline="other.orch.yaml", late=30),
    overdue(),
    exporter_notice.target_suspended("mail", reason="the service said 403", at=at(9)),
    told(10, pipeline="<!channel>\r\n", message="*boom* <http://evil|click>"),
]


def test_a_golden_digest():
    """To change it on purpose: look at it, would you act on it at 3 a.m.? Then write it to the file."""
    found = digest(A_BAD_NIGHT, **HOW)
    assert f"{found.title}\n\n{found.body}\n" == (GOLDEN / "digest.txt").read_text()


def test_a_golden_digest_that_may_be_a_repeat():
    found = digest([told(number) for number in range(1, 71)], possible_repeat=True, link="", zone=BERLIN)
    assert f"{found.title}\n\n{found.body}\n" == (GOLDEN / "digest_repeat.txt").read_text()


def test_every_kind_of_event_has_its_place():
    assert Counter(WORST_FIRST) == Counter(EventKind)


def test_the_title_says_the_worst_and_how_much_there_is():
    assert digest(A_BAD_NIGHT, **HOW).title == "FAILED: <! channel> in prod (Finance) and 5 more, 11 alerts"
    assert digest([told(1), told(2)], **HOW).title == "FAILED: nightly.orch.yaml in prod (Finance), 2 alerts"


def test_a_digest_of_notices_that_begin_with_the_harmless_leads_with_the_worst():
    both = [told(1, EventKind.RECOVERED, pipeline="a"), told(2, EventKind.FAILED, minute=0, pipeline="b")]
    assert digest(both, **HOW).title == "FAILED: b in prod (Finance) and 1 more, 2 alerts"


def test_what_still_stands_comes_before_what_has_recovered():
    mended = [told(number, pipeline="mended") for number in (1, 2, 3)] + [
        told(4, EventKind.RECOVERED, pipeline="mended")
    ]
    body = digest([*mended, told(2, EventKind.SKIPPED, pipeline="skipped"), told(3, pipeline="broken")], **HOW).body
    assert body.index("broken in") < body.index("skipped in") < body.index("mended in")


def test_one_run_with_two_events_is_named_once():
    body = digest([told(5, EventKind.OVER_LIMIT), told(5, EventKind.CANCEL, stage="forced")], **HOW).body
    assert body.count(ID(5)) == 1
    assert f"OVER_LIMIT + CANCEL:forced: {ID(5)}" in body


def test_an_event_with_an_id_of_its_own_shows_it():
    breaker = replace(told(5, EventKind.CANCEL), event_id="exporter:CANCEL:breaker:x")
    assert "event id: exporter:CANCEL:breaker:x" in digest([breaker, told(6)], **HOW).body


def test_the_newest_event_of_a_pipeline_is_the_last_word():
    body = digest([told(3, EventKind.RECOVERED), told(1), told(2)], **HOW).body
    assert "nightly.orch.yaml in prod (Finance): 2 FAILED, 1 RECOVERED, last RECOVERED 01-05 01:03" in body
    assert "times: CET (Europe/Berlin)" in body


def test_examples_are_left_out_where_there_is_no_room():
    notices = [told(number, message="why " * 100) for number in range(1, 200)]
    fits = fitting(notices, **HOW)
    assert "for example" not in digest(notices[:fits], **HOW).body
    assert "for example: why why" in digest(notices[: fits - 10], **HOW).body


def test_5000_failures_take_as_few_digests_as_can_be():
    """A run id has 36 characters, so that 2,900 hold 78 at most."""
    notices = [told(number, pipeline=f"team/pipeline{number % 10}.orch.yaml") for number in range(1, 201)]
    assert 50 <= fitting(notices, **HOW) <= 78
    assert 70 <= fitting([told(number) for number in range(1, 201)], **HOW) <= 78


def test_looking_what_fits_does_not_try_everything():
    notices = [told(number, pipeline=f"team/pipeline{number % 10}.orch.yaml") for number in range(1, 201)]
    began = process_time()
    fitting(notices, **HOW)
    assert process_time() - began < 2


@pytest.mark.parametrize("limit", [10, 300])
def test_where_nothing_fits_one_goes_by_itself(limit):
    assert fitting([told(1), told(2), told(3)], **HOW, body_limit=limit) == 1


NAMES = st.sampled_from(["nightly", "x" * 300, "<!channel>\n", "@here", "🔥", "a/b/c.orch.yaml"])
KINDS = st.sampled_from([kind for kind in EventKind if kind not in (EventKind.EXPORTER, EventKind.OVERDUE)])
RUNS = st.builds(
    told, st.integers(1, 400), KINDS, pipeline=NAMES, message=st.text(max_size=50), late=st.sampled_from([0, 30])
)
OTHERS = st.builds(overdue, NAMES) | st.builds(
    lambda minute: exporter_notice.polls_fail(
        since=at(minute), last_good_at=None, cause="timeout", error="@here", now=at(minute + 9)
    ),
    st.integers(0, 10),
)


@given(st.lists(RUNS | OTHERS, min_size=1, max_size=120), st.sampled_from([700, 1_500, BODY_LIMIT]))
def test_every_run_id_is_in_exactly_one_digest_once_and_all_of_them_fit(notices, limit):
    """Promise: what waits above max_per_minute is folded into as few digests as fit, each run id in one of them."""
    notices = list({(each.run_id or each.event_id): each for each in notices}.values())
    rest, digests = notices, []
    while rest:
        fits = fitting(rest, **HOW, body_limit=limit)
        digests.append(digest(rest[:fits], **HOW, possible_repeat=True, body_limit=limit))
        if fits < len(rest):  # not one more would have fitted
            more = digest(rest[: fits + 1], **HOW, possible_repeat=True, body_limit=0)
            assert len(more.body) > limit
        rest = rest[fits:]
    everything = "\n".join(each.body for each in digests)
    for notice in notices:
        if notice.run_id:
            assert everything.count(notice.run_id) == 1
    for each in digests:
        assert len(each.body) <= limit
        assert len(each.title) <= TITLE_LIMIT
        assert each.body.startswith(REPEAT)
        assert "<!channel>" not in each.title + each.body
