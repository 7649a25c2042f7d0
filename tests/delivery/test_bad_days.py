"""What the world does to us, row by row, with real sockets and a clock that moves only when told."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from e2e.processes import free_port

from exporter.core.notice import Decision, Dispatch, EventKind
from exporter.notifier.tidier import Tidier
from exporter.store import leases, outbox
from exporter.store.database import Database
from exporter.store.errors import NotLeading

from .post import NOON, Post, decision, event_ids, notice
from .targets import OK, Answer

HOUR = 3600.0


@pytest.fixture
def sink(web_hook):
    return web_hook()


@pytest.fixture
def database(file):
    """On SQLite: what is special about PostgreSQL is tested with the outbox."""
    opened = Database.open(f"sqlite:///{file}", exclusive=True, now=NOON)
    yield opened
    opened.close()


@pytest.fixture
def post(database):
    """Makes post offices."""

    def make(per_minute: int = 1000, **urls: str) -> Post:
        return Post(database, urls, per_minute=per_minute)

    return make


def test_what_was_claimed_by_a_process_that_leads_no_more_is_sent_by_its_successor_alone(post, sink):
    office = post(sink=sink.url)
    office.fail("run1")
    office.on_duty = False
    with pytest.raises(NotLeading):
        office.deliver()
    assert not sink.posts

    office.on_duty = True
    assert office.restart() == 1
    office.deliver()
    assert [post.title.endswith("(possible repeat)") for post in sink.posts] == [True]


def test_a_target_that_is_down_for_an_hour_gets_everything_soon_after_and_nobody_else_waits(post, sink):
    port = free_port()
    office = post(up=sink.url, down=f"json://127.0.0.1:{port}/")
    for minute in range(60):
        office.fail(f"run{minute}")
        office.pass_by(60, step=5)
        assert len(sink.posts) == minute + 1, "the other target is told at once"
    attempts = sum(row.attempts for row in office.rows("down"))
    assert attempts <= 3 + 60, "at most one try a minute after the first minute"

    with_listener = _listen_on(port)
    office.pass_by(120)

    ids = event_ids(post.body for post in with_listener.posts)
    assert ids == [f"run{minute}:FAILED" for minute in range(60)]
    assert not any("possible repeat" in post.body for post in with_listener.posts), "nothing can have arrived before"
    with_listener.stop()


def _listen_on(port):
    from .targets import HttpTarget

    return HttpTarget(port=port)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_target_that_answers_with_errors_for_an_hour_is_told_within_two_minutes_of_its_recovery(
    post, web_hook, status
):
    target = web_hook(Answer(status, b""))
    office = post(slack=target.url)
    office.fail("run1")
    assert office.pass_by(HOUR, step=5) <= 63
    tried = len(target.posts)

    target.answer = OK
    office.pass_by(120)

    assert len(target.posts) == tried + 1
    assert target.posts[-1].title.endswith("(possible repeat)"), "an error is no proof that it was not delivered"


def test_after_429_nothing_is_asked_for_a_minute_and_then_slowly(post, web_hook):
    target = web_hook(Answer(429, b"", {"Retry-After": "30"}))
    office = post(slack=target.url)
    office.fail("run1", "run2")

    office.pass_by(59)
    assert len(target.posts) == 1
    office.pass_by(10)
    assert len(target.posts) == 2
    target.answer = OK
    office.pass_by(110)
    assert len(target.posts) == 2, "told twice to slow down: two minutes"
    office.pass_by(10)

    assert office.states("slack") == ["sent", "sent"]
    assert "possible repeat" not in target.posts[-1].body


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_target_that_refuses_everything_is_suspended_keeps_its_queue_and_the_others_hear_of_it(
    post, web_hook, sink, status
):
    broken = web_hook(Answer(status, b""))
    office = post(broken=broken.url, good=sink.url)
    office.fail("run1", "run2")
    office.pass_by(14 * 60, step=5)

    assert len(broken.posts) == 1, "no request before the probe"
    assert office.states("broken") == ["pending", "pending"]
    assert office.standing().targets["broken"].suspended
    assert [post.title for post in sink.posts] == [
        "FAILED: nightly in prod (Finance)",
        "FAILED: nightly in prod (Finance)",
        "EXPORTER: target broken is suspended",
    ]

    broken.answer = OK
    office.pass_by(120)

    assert event_ids(post.body for post in broken.posts[1:]) == ["run1:FAILED", "run2:FAILED"]
    assert sink.posts[-1].title == "EXPORTER: target broken works again"
    assert not office.standing().targets["broken"].suspended


def test_a_message_that_is_refused_goes_once_more_in_short_then_dies_and_the_next_ones_flow(post, web_hook, sink):
    picky = web_hook(lambda post: Answer(400, b"") if "run2" in post.body else OK)
    office = post(picky=picky.url, good=sink.url)
    office.fail("run1", "run2", "run3")
    office.pass_by(10)

    refused = [post for post in picky.posts if "run2" in post.body]
    assert len(refused) == 2
    assert "ORA-00942" in refused[0].body
    assert "ORA-00942" not in refused[1].body
    assert "run2:FAILED" in refused[1].body
    assert office.states("picky") == ["sent", "dead", "sent"]
    assert office.standing().targets["picky"].dead_letters == 1
    assert [post.title for post in sink.posts][-1] == "EXPORTER: target picky refuses a message"

    picky.answer = OK
    with office.database.transaction() as connection:
        assert outbox.retry_dead(connection, now=office.clock.now()) == 1
    office.pass_by(1)

    assert office.states("picky") == ["sent", "sent", "sent"]
    assert office.standing().targets["picky"].dead_letters == 0


def test_a_digest_that_is_refused_falls_apart_so_that_only_the_bad_message_dies(post, web_hook):
    picky = web_hook(lambda post: Answer(400, b"") if "run07" in post.body else OK)
    office = post(per_minute=10, slack=picky.url)
    office.fail(*(f"run{number:02}" for number in range(20)))
    office.pass_by(10 * 60, step=5)

    assert sorted(office.states("slack")) == ["dead"] + ["sent"] * 19


def test_a_target_that_never_confirms_gets_five_copies_and_then_one_an_hour(post, web_hook):
    target = web_hook(Answer(drop=True))
    office = post(slack=target.url)
    office.fail("run1")
    office.pass_by(20 * 60, step=5)
    assert len(target.posts) == 5
    office.pass_by(3 * HOUR, step=30)

    assert len(target.posts) == 8
    assert "possible repeat" not in target.posts[0].body
    assert all("possible repeat" in post.title for post in target.posts[1:])
    assert {*event_ids(post.body for post in target.posts)} == {"run1:FAILED"}


def test_one_message_that_is_never_confirmed_does_not_keep_the_next_ones_back_for_long(post, web_hook):
    target = web_hook(lambda post: Answer(drop=True) if "run1" in post.body else OK)
    office = post(slack=target.url)
    office.fail("run1", "run2")
    office.pass_by(10 * 60, step=5)

    assert office.states("slack") == ["pending", "sent"]
    office.pass_by(2 * HOUR, step=30)
    office.fail("run3")
    office.pass_by(60)
    assert len([post for post in target.posts if "run1:" in post.body]) <= 5 + 3


def test_a_silent_target_that_is_down_for_long_gets_what_was_too_doubtful_as_soon_as_it_is_back(post, web_hook):
    target = web_hook(Answer(drop=True))
    office = post(slack=target.url)
    office.fail("run1", "run2", "run3")
    office.pass_by(HOUR, step=5)
    target.answer = OK
    before = len(target.posts)
    office.fail("run4")
    office.pass_by(120)

    assert {*event_ids(post.body for post in target.posts[before:])} == {f"run{n}:FAILED" for n in (1, 2, 3, 4)}


def test_what_waits_longer_than_max_age_is_given_up_and_counted(post):
    office = post(down=f"json://127.0.0.1:{free_port()}/")
    office.fail("run1")
    office.pass_by(60)
    with office.database.transaction() as connection:
        assert outbox.expire(connection, now=NOON + timedelta(days=8), max_age=timedelta(days=7)) == 1

    row = office.rows()[0]
    assert (row.state, row.suppressed_reason, row.last_error) == ("suppressed", "expired", "connection refused")
    assert office.standing().suppressed == {"expired": 1}
    assert office.deliver() == 0


def test_a_changed_url_starts_afresh(post, web_hook, sink):
    broken = web_hook(Answer(404, b""))
    office = post(slack=broken.url)
    office.fail("run1")
    office.pass_by(5)
    office.urls = {"slack": sink.url}
    office.restart()
    office.deliver()

    assert event_ids(post.body for post in sink.posts) == ["run1:FAILED"]


def test_five_thousand_failures_reach_the_target_in_few_digests_within_its_rate(post, web_hook, sink):
    office = post(per_minute=20, slack=sink.url)
    runs = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(5000)]
    office.fail(*runs)
    stamps: list[float] = []
    while office.standing().targets["slack"].waiting:
        stamps += [office.clock.seconds] * office.deliver()
        office.clock.pass_by(1)
        assert office.clock.seconds < 1000 + HOUR

    found = [run for post in sink.posts for run in re.findall(r"[0-9a-f]{8}-0000-4000-8000-000000000000", post.body)]
    assert sorted(found) == runs, "every run is in exactly one digest"
    assert len(sink.posts) <= 100
    assert all(sum(1 for other in stamps if stamp <= other < stamp + 60) <= 20 for stamp in stamps)
    assert all(len(post.body) <= 2_900 for post in sink.posts)


def test_a_few_failures_above_the_rate_are_one_digest_that_is_not_told_twice(post, sink):
    office = post(per_minute=10, slack=sink.url)
    office.fail(*(f"run{number:02}" for number in range(30)))
    office.pass_by(120)

    assert len(sink.posts) == 1
    assert sorted(re.findall(r"run\d\d", sink.posts[0].body)) == [f"run{number:02}" for number in range(30)]


def test_what_was_being_sent_when_the_process_died_goes_out_marked_and_nothing_else_is(post, sink):
    office = post(slack=sink.url)
    office.fail("run1", "run2")
    with office.database.transaction() as connection:
        leases.claim(
            connection, "slack", boot="boot 1", now=office.clock.now(), per_minute=1000, fold=lambda notices: 1
        )

    assert office.restart() == 1
    office.deliver()

    assert [("possible repeat" in post.body) for post in sink.posts] == [True, False]
    assert event_ids(post.body for post in sink.posts) == ["run1:FAILED", "run2:FAILED"]
    assert office.restart() == 0
    assert office.deliver() == 0


def test_who_comes_back_late_with_an_old_lease_changes_nothing(post, web_hook, sink):
    office = post(slack=sink.url)
    office.fail("run1")
    sleeper = office.workers[0]
    claimed = sleeper._claim()
    office.restart()
    office.deliver()
    before = office.rows()

    sleeper._settle(claimed, sleeper._send(claimed))

    assert office.rows() == before
    assert office.standing().sent == {("slack", "FAILED"): 1}


def test_what_waits_for_the_words_of_the_failed_step_goes_out_with_them_or_without(post, sink):
    office = post(slack=sink.url)
    office.record(decision("run1", "slack"), decision("run2", "slack"), hold=timedelta(seconds=2))
    assert office.deliver() == 0
    with office.database.transaction() as connection:
        outbox.add_detail(connection, "run1:FAILED", "Load GL: ORA-00942", now=office.clock.now())
    assert office.deliver() == 1
    assert "failed step: Load GL: ORA-00942" in sink.posts[0].body
    office.clock.pass_by(2)

    assert office.deliver() == 1
    assert "failed step" not in sink.posts[1].body


def test_who_is_told_of_a_recovery_are_those_who_know_of_the_failure(post, database):
    office = post(a="json://a/", b="json://b/", c="json://c/")
    key = notice("x").pipeline
    office.record(decision("run1", "a", "b"))

    def told():
        with database.reading() as connection:
            return outbox.told(connection, [key])

    assert told() == {key: {"a", "b"}}
    office.record(
        Decision(notice=notice("run2", event=EventKind.RECOVERED), dispatches=(Dispatch(target="a", why="told"),))
    )
    assert told() == {}
    office.record(decision("run3", "c"))
    assert told() == {key: {"c"}}


def test_what_was_written_by_a_clock_that_was_an_hour_fast_does_not_wait_for_that_hour(post, sink):
    office = post(up=sink.url, down=f"json://127.0.0.1:{free_port()}/")
    office.clock.at += timedelta(hours=1)
    office.fail("run1")
    office.deliver()
    office.fail("run2")
    assert [row.state.value for row in office.rows("down")] == ["pending", "pending"]

    office.clock.at -= timedelta(hours=1)
    tidier = Tidier(office.office, office.settings)
    tidier.tidy()
    office.pass_by(1)

    assert event_ids(message.body for message in sink.posts) == ["run1:FAILED", "run2:FAILED"]
    assert office.rows("down")[0].attempts == 2, "its target is tried again at once as well"


def test_what_may_wait_for_as_long_as_it_does_is_left_to_wait(post, sink):
    office = post(down=f"json://127.0.0.1:{free_port()}/")
    office.fail("run1")
    office.deliver()
    until = office.rows("down")[0].next_at
    office.record(decision("run2", "down", at=office.clock.now()), hold=timedelta(seconds=3))

    Tidier(office.office, office.settings).tidy()

    assert office.rows("down")[0].next_at == until
    assert office.pass_by(2) == 0
