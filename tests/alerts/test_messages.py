"""What people read: golden texts of every kind of message, and that nothing in them works, is cut or is too long."""

from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core import exporter_notice
from exporter.core.events import RunsPossiblyMissed
from exporter.core.expectations import Expectation
from exporter.core.messages import BODY_LIMIT, REPEAT, TITLE_LIMIT, local_time, render
from exporter.core.model import PipelineKey, Status, Trigger
from exporter.core.notice import EventKind, Fact
from exporter.core.routing import Route
from exporter.core.run_notice import pipeline_id, project_label, project_labels, run_notice, subject_of
from exporter.core.state import RunRecord

from .story import FINANCE, NAMES, Story, at, run

GOLDEN = Path(__file__).parents[1] / "data/golden/messages"
BERLIN = ZoneInfo("Europe/Berlin")
ID = "3f0c9a6e-7d1b-4c55-9a43-{:012d}".format
LINK = "https://app.matillion.com/observability-dashboard/pipeline/"
NIGHTLY = {"pipeline": "finance/nightly-load.orch.yaml", "environment": "prod", "project": FINANCE}
WEEKLY = {**NIGHTLY, "pipeline": "finance/weekly-report.orch.yaml"}
SAID = "Component 'Load orders' failed: Numeric value 'n/a' is not recognized in column AMOUNT (row 10,231)"
HOSTILE = (
    "\x1b[31m<!channel> <@U1> @here *bold* `code` <b>html</b> <http://evil|click> https://evil\r\n"
    "run id: forged\nlink: http://forged\x00 \u202eright\u202c to left 🔥 =?utf-8?q?evil?="
)


@pytest.fixture
def night():
    everything = Route(targets=("oncall",), events=frozenset(EventKind), remind_every=timedelta(hours=1))
    story = Story(
        routes=[everything],
        expectations=[Expectation(success_within=timedelta(hours=8))],
        history=[run(ID(0), Status.SUCCESS, end=-400, **NIGHTLY)],
    )
    story.poll(15, run(ID(1), end=14, message=SAID, **NIGHTLY))
    hand = {"trigger": Trigger.DESIGNER, "user": "jane@example.com", **NIGHTLY}
    story.poll(30, run(ID(2), Status.FORBIDDEN, end=None, **NIGHTLY), run(ID(3), end=25, message=HOSTILE, **hand))
    story.poll(75)
    story.poll(81, run(ID(4), Status.RUNNING, end=81, **NIGHTLY))
    story.poll(200, run(ID(5), Status.CANCELLED, end=80, **NIGHTLY), run(ID(6), Status.SUCCESS, end=70, **NIGHTLY))
    story.poll(201, missing=[ID(4)])
    story.poll(202, missing=[ID(4)])
    story.poll(210, run(ID(7), end=209, **WEEKLY))
    story.poll(220, run(ID(8), Status.SUCCESS, end=219, **WEEKLY))
    story.poll(600)
    return story


def at_night(event_id):
    return lambda night: night.outbox[event_id].notice


def about_us(word, *what, **how):
    return lambda _: word(*what, **how)


DOWN = {"cause": "timeout", "error": "read the list: no answer in 30 s"}
MISSED = RunsPossiblyMissed(since=at(0), until=at(11_000))
GOLDENS = {
    "failed": (at_night(f"{ID(1)}:FAILED"), {"detail": f"Load orders: {SAID}"}),
    "failed_alone": (at_night(f"{ID(1)}:FAILED"), {"detail": ""}),
    "failed_hostile": (at_night(f"{ID(3)}:FAILED"), {"detail": HOSTILE}),
    "failed_repeat": (at_night(f"{ID(1)}:FAILED"), {"possible_repeat": True}),
    "failed_minimal": (at_night(f"{ID(3)}:FAILED"), {"minimal": True, "possible_repeat": True}),
    "failed_sent_late": (at_night(f"{ID(1)}:FAILED"), {"now": at(200)}),
    "forbidden": (at_night(f"{ID(2)}:FORBIDDEN"), {}),
    "reminder": (at_night(f"{ID(2)}:FORBIDDEN:reminder:1"), {}),
    "cancelled_late": (at_night(f"{ID(5)}:CANCELLED"), {}),
    "recovered_late": (at_night(f"{ID(6)}:RECOVERED"), {}),
    "recovered": (at_night(f"{ID(8)}:RECOVERED"), {}),
    "vanished": (at_night(f"{ID(4)}:VANISHED"), {}),
    "overdue": (
        at_night(f"{FINANCE}/prod/finance/nightly-load.orch.yaml:OVERDUE:2026-01-05T01:10:00Z"),
        {"now": at(700)},
    ),
    "polls_fail": (about_us(exporter_notice.polls_fail, since=at(10), last_good_at=at(9), now=at(15), **DOWN), {}),
    "polls_never_worked": (
        about_us(exporter_notice.polls_fail, since=at(10), last_good_at=None, now=at(15), **DOWN),
        {},
    ),
    "polls_work": (about_us(exporter_notice.polls_work, since=at(10), last_good_at=at(9), now=at(75)), {}),
    "polls_work_at_last": (about_us(exporter_notice.polls_work, since=at(10), last_good_at=None, now=at(75)), {}),
    "target_suspended": (
        about_us(exporter_notice.target_suspended, "data-oncall", reason="the service said 404", at=at(1)),
        {},
    ),
    "target_back": (about_us(exporter_notice.target_back, "data-oncall", since=at(1), at=at(200)), {}),
    "target_back_unknown": (about_us(exporter_notice.target_back, "data-oncall", since=None, at=at(200)), {}),
    "dead_letters": (
        about_us(exporter_notice.dead_letters, "data-oncall", count=2, reason="400 twice", at=at(1)),
        {},
    ),
    "dead_letter": (about_us(exporter_notice.dead_letters, "data-oncall", count=1, reason="400", at=at(1)), {}),
    "runs_possibly_missed": (about_us(exporter_notice.runs_possibly_missed, MISSED, detected_at=at(11_000)), {}),
    "target_test": (about_us(exporter_notice.target_test, "data-oncall", at=at(1)), {}),
}


def rendered(notice, **how):
    link = LINK + notice.run_id if notice.run_id else "https://exporter.example.com/"
    return render(notice, **{"link": link, "zone": BERLIN, **how})


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_messages(name, night):
    """To change them on purpose: look at every text, would you act on it at 3 a.m.? Then write it to the file."""
    noticed, how = GOLDENS[name]
    message = rendered(noticed(night), **how)
    text = f"{message.title}\n\n{message.body}\n"
    assert text == (GOLDEN / f"{name}.txt").read_text()


def test_there_is_no_golden_text_that_nobody_looks_at():
    single = {path.stem for path in GOLDEN.glob("*.txt") if not path.stem.startswith("digest")}
    assert single == set(GOLDENS)


# Titles


@pytest.mark.parametrize(
    ("event", "pipeline", "environment", "project", "title"),
    [
        pytest.param(
            "FAILED",
            "finance/a/nightly.orch.yaml",
            "prod",
            "Finance",
            "nightly.orch.yaml in prod (Finance)",
            id="no folders",
        ),
        pytest.param("FAILED", "", "", "", "unknown in unknown (unknown)", id="what the API did not say"),
        pytest.param(
            "FAILED",
            "monthly-reconciliation.orch.yaml",
            "staging",
            "Finance",
            "monthly-reconciliation.orch.yaml in staging (Finance)",
            id="as long as a lock screen takes",
        ),
        pytest.param(
            "OVER_LIMIT",
            "monthly-reconciliation-of-all-ledgers.orch.yaml",
            "production",
            "Finance Data Warehouse",
            "monthly-reconc…ers.orch.yaml in production (Finance Data Warehouse)",
            id="a long pipeline",
        ),
        pytest.param(
            "FAILED",
            "p" * 90,
            "e" * 90,
            "q" * 90,
            f"{'p' * 15}…{'p' * 14} in {'e' * 6}…{'e' * 5} ({'q' * 30}…{'q' * 29})",
            id="all of them long",
        ),
        pytest.param(
            "FAILED",
            "short",
            "e" * 90,
            "Finance",
            "short in eeeeeeeeeeeeeeeeee…eeeeeeeeeeeeeeeeee (Finance)",
            id="a long environment",
        ),
        pytest.param(
            "FAILED", "<!channel>\r\nBcc: x", "@here", "*P*", "<! channel> ⏎ Bcc: x in @ here (*P*)", id="hostile names"
        ),
    ],
)
def test_a_title_says_what_which_and_where(event, pipeline, environment, project, title):
    found = subject_of(EventKind(event), PipelineKey("p", environment, pipeline), project=project)
    assert found == title
    shown = f"{event}: {found}"[:60]
    assert " in " in shown
    assert " (" in shown


def test_a_title_never_exceeds_150_characters_and_keeps_its_mark(night):
    notice = replace(GOLDENS["failed"][0](night), subject="s" * 1_000)
    assert len(rendered(notice).title) == TITLE_LIMIT
    repeat = rendered(notice, possible_repeat=True).title
    assert len(repeat) == TITLE_LIMIT
    assert repeat.endswith(f" {REPEAT}")


# Bodies


def test_a_long_message_is_cut_at_1000_characters_with_a_note():
    record = RunRecord(run=run("r", end=1, message="x" * 100_000), first_seen_at=at(1))
    notice = run_notice(EventKind.FAILED, record, project="Finance", detected_at=at(1))
    assert sum(len(fact.value) for fact in notice.facts) < 2_000  # thousands of them may wait
    (line,) = [line for line in rendered(notice).body.split("\n") if line.startswith("message")]
    assert line == f"message (cut at 1,000 characters): {'x' * 999}…"


@pytest.mark.parametrize("length", [999, 1_000])
def test_a_message_that_is_not_too_long_is_shown_whole(length):
    record = RunRecord(run=run("r", end=1, message="x" * length), first_seen_at=at(1))
    notice = run_notice(EventKind.FAILED, record, project="Finance", detected_at=at(1))
    assert f"\nmessage: {'x' * length}\n" in rendered(notice).body


def test_what_grows_when_it_is_made_inert_still_fits():
    record = RunRecord(run=run("r", end=1, message="@a " * 400), first_seen_at=at(1))
    notice = run_notice(EventKind.FAILED, record, project="Finance", detected_at=at(1))
    (line,) = [line for line in rendered(notice).body.split("\n") if line.startswith("message")]
    assert line.startswith("message (cut at 1,000 characters): @ a @ a")


HOSTILE_TEXT = st.text(max_size=400) | st.sampled_from([HOSTILE, "x" * 5_000, "\n" * 3_000, "🔥" * 3_000, "@a" * 2_000])


@given(
    message=HOSTILE_TEXT,
    detail=HOSTILE_TEXT,
    name=HOSTILE_TEXT,
    user=HOSTILE_TEXT,
    minimal=st.booleans(),
    repeat=st.booleans(),
)
def test_run_id_event_id_and_link_are_never_cut_away(message, detail, name, user, minimal, repeat):
    hostile = run(ID(1), end=1, message=message, user=user, pipeline=name, environment=name)
    record = RunRecord(run=hostile, first_seen_at=at(1))
    many = tuple(Fact(label=f"fact {number}", value=name) for number in range(12))
    notice = run_notice(EventKind.FAILED, record, project=name, detected_at=at(1), facts=many)
    found = rendered(notice, detail=detail, minimal=minimal, possible_repeat=repeat)
    assert len(found.title) <= TITLE_LIMIT
    assert "\n" not in found.title
    assert len(found.body) <= BODY_LIMIT
    assert found.body.endswith(f"link: {LINK}{ID(1)}\nrun id: {ID(1)}\nevent id: {ID(1)}:FAILED")
    assert found.body.count("\nrun id: ") == 1
    assert found.body.startswith(REPEAT) is repeat
    assert found.title.endswith(REPEAT) is repeat


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (250, ["link", "run id", "event id"]),
        (110, ["run id", "event id"]),
        (60, ["event id"]),
        (20, ["event id"]),
    ],
)
def test_a_service_for_very_short_messages_gets_the_ids_first(limit, kept, night):
    notice = GOLDENS["failed"][0](night)
    body = rendered(notice, body_limit=limit, title_limit=40).body
    assert len(body) <= limit
    labels = [line.partition(":")[0] for line in body.split("\n")]
    assert labels[-len(kept) :] == kept


def test_the_minimal_form_is_plain_ascii_without_a_word_of_the_api(night):
    found = rendered(GOLDENS["failed_hostile"][0](night), minimal=True)
    assert (found.title + found.body).replace("\n", "").isascii()
    assert "html" not in found.body


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://x/run/1?a=b#c", "https://x/run/1?a=b#c"),
        ("https://x/run/a b<c>|d\n", "https://x/run/a%20b%3Cc%3E%7Cd%0A"),
        ("https://x/run/ü", "https://x/run/%C3%BC"),
        ("", None),
        ("https://x/" + "y" * 2_000, None),
    ],
)
def test_a_link_is_one_word(link, shown, night):
    body = rendered(GOLDENS["failed"][0](night), link=link).body
    assert [line for line in body.split("\n") if line.startswith("link")] == ([f"link: {shown}"] if shown else [])


def test_overlong_ids_are_shortened_in_the_middle(night):
    notice = replace(GOLDENS["failed"][0](night), run_id="r" * 400, event_id="r" * 400 + ":FAILED")
    body = rendered(notice, link="").body
    assert len(body) <= BODY_LIMIT
    assert body.endswith("r:FAILED")


# Times


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        (UTC, "2026-01-05 00:05:00 UTC"),
        (ZoneInfo("UTC"), "2026-01-05 00:05:00 UTC"),
        (BERLIN, "2026-01-05 01:05:00 CET (Europe/Berlin)"),
        (ZoneInfo("America/Sao_Paulo"), "2026-01-04 21:05:00 -03 (America/Sao_Paulo)"),
    ],
)
def test_times_are_told_in_the_zone_with_its_name(zone, shown):
    assert local_time(at(5), zone) == shown


def test_an_instant_in_the_words_of_the_api_is_left_alone():
    record = RunRecord(run=run("r", end=1, message="since 2026-01-05T00:00:00Z"), first_seen_at=at(1))
    notice = run_notice(EventKind.FAILED, record, project="Finance", detected_at=at(1))
    assert "message: since 2026-01-05T00:00:00Z" in rendered(notice).body


@pytest.mark.parametrize(
    ("event", "end", "detected", "sent", "late"),
    [
        pytest.param(EventKind.FAILED, 1, 11, 11, "", id="in time"),
        pytest.param(EventKind.FAILED, 1, 12, 12, "told 11 min after the run ended", id="found late"),
        pytest.param(EventKind.FAILED, 1, 2, 12, "told 11 min after the run ended", id="sent late"),
        pytest.param(EventKind.RECOVERED, 1, 2, 12, "told 11 min after the run ended", id="of a recovery too"),
        pytest.param(EventKind.OVER_LIMIT, 1, 2, 13, "told 11 min after it was found", id="what is no end"),
        pytest.param(EventKind.CANCEL, 1, 20, 21, "told 20 min after the run ended", id="the end of what we cancelled"),
    ],
)
def test_what_is_told_late_says_how_late(event, end, detected, sent, late):
    record = RunRecord(run=run("r", end=end), first_seen_at=at(end))
    notice = run_notice(event, record, project="Finance", detected_at=at(detected))
    body = rendered(notice, now=at(sent)).body
    assert [line for line in body.split("\n") if line.startswith("late")] == ([f"late: {late}"] if late else [])


# Names


def test_projects_of_one_name_are_told_apart():
    names = {**NAMES, "aaaaaaaa-bbbb": "Finance", "x": ""}
    assert project_labels(names)[FINANCE] == "Finance (5e1f0000)"
    assert project_label(names, "77aa0000-aaaa-4bbb-8ccc-000000000002") == "Sales"
    assert project_label(names, "x") == "x"
    assert project_label(names, "nobody") == "nobody"
    assert project_label(names, "") == "unknown"


def test_a_pipeline_has_an_id_that_fits_and_can_be_typed():
    assert pipeline_id(PipelineKey("p", "prod", "finance/x.orch.yaml")) == "p/prod/finance/x.orch.yaml"
    long, longer = (pipeline_id(PipelineKey("p", "prod", "x" * length)) for length in (300, 301))
    assert len(long) == len(longer) == 200
    assert long != longer
    nasty = pipeline_id(PipelineKey("p", "prod", "a\nb\ud800"))
    assert nasty.startswith("p/prod/ab~")
    assert nasty.isprintable()
