"""The outbox on both databases: each event once, counters that only count what was written, leases, pruning."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exporter.core.delivery import Outcome, OutcomeClass
from exporter.core.model import PipelineKey
from exporter.core.notice import EventKind, Suppression
from exporter.core.silences import Silence
from exporter.store import leases, outbox, outbox_views, silences
from exporter.store.database import Database

from .post import NOON, decision, notice, pipeline

LATER = NOON + timedelta(days=100)


@pytest.fixture
def record(database):
    def write(*decisions, now=NOON):
        with database.transaction() as connection:
            return outbox.record(connection, decisions, now=now)

    return write


@pytest.fixture
def claim(database):
    def take(target="a", *, boot="1", now=NOON, per_minute=1000, fit=100):
        with database.transaction() as connection:
            if leases.health_of(connection, target) is None:
                leases.begin_target(connection, target, fingerprint="x", now=now)
            return leases.claim(
                connection,
                target,
                boot=boot,
                now=now,
                per_minute=per_minute,
                fold=lambda notices: min(fit, len(notices)),
            )

    return take


@pytest.fixture
def settle(database):
    def write(claimed, outcome=OutcomeClass.SENT, *, now=NOON):
        with database.transaction() as connection:
            return leases.settle(
                connection, claimed, Outcome(outcome, "why"), now=now, pause=lambda _: timedelta(seconds=5)
            )

    return write


def look(database, *targets):
    with database.reading() as connection:
        return outbox_views.standing(connection, targets or ("a", "b"))


def rows(database):
    with database.reading() as connection:
        return list(outbox_views.listed(connection))


def test_what_is_found_twice_is_written_and_counted_once(database, record):
    one = decision("run1", "a", "b")
    silenced = decision("run2", "a", suppressed=Suppression.SILENCED)

    assert record(one, silenced, one) == (one, silenced)
    assert record(silenced, one, decision("run3", "a")) == (decision("run3", "a"),)

    assert len(rows(database)) == 4
    assert look(database).suppressed == {"silenced": 1}


def test_a_target_that_came_later_is_not_told_what_was_found_before(database, record):
    record(decision("run1", "a"))
    record(decision("run1", "a", "new"))

    assert [row.target for row in rows(database)] == ["a"]


def test_a_notice_comes_back_from_the_store_as_it_went_in(database, record):
    told = notice("rün\N{ESCAPE} <b> %s {x}", of=pipeline("日本/x'\"%\n.yaml"))
    record(decision(told, "a"))

    with database.reading() as connection:
        shown = outbox_views.shown(connection, told.event_id)

    assert shown is not None
    assert shown.notice == told


def test_only_one_of_many_claims_gets_a_delivery(record, claim):
    record(decision("run1", "a"))

    first, second = claim(), claim(boot="2")

    assert [item.event_id for item in first.items] == ["run1:FAILED"]
    assert second == leases.Wait(None)


def test_a_lease_that_was_taken_over_cannot_be_settled_by_its_first_holder(database, record, claim, settle):
    record(decision("run1", "a"))
    slept = claim(boot="1")
    with database.transaction() as connection:
        assert leases.recover(connection, boot="2", now=NOON) == 1
    assert settle(slept) is None, "between recovery and the next lease"
    taken = claim(boot="2")
    assert settle(slept) is None, "while the next one holds it"
    assert settle(taken) == ()
    assert settle(slept, OutcomeClass.POISON) is None, "and after it"

    row = rows(database)[0]
    assert (row.state, row.attempts, row.possible_repeat) == ("sent", 2, True)
    assert look(database).sent == {("a", "FAILED"): 1}
    assert look(database).failed == {("a", "interrupted"): 1}


def test_a_process_does_not_take_back_its_own_leases(database, record, claim):
    record(decision("run1", "a"))
    claim(boot="1")

    with database.transaction() as connection:
        assert leases.recover(connection, boot="1", now=NOON) == 0


def test_a_digest_is_settled_whole_and_repeated_whole(database, record, claim, settle):
    record(*(decision(f"run{number}", "a") for number in range(10)))
    first = claim(per_minute=2, fit=6)
    assert [item.event_id for item in first.items] == [f"run{number}:FAILED" for number in range(6)]
    settle(first, OutcomeClass.AMBIGUOUS)
    record(decision("run10", "a"))

    again = claim(now=NOON + timedelta(minutes=2), per_minute=2, fit=100)

    assert [item.event_id for item in again.items] == [item.event_id for item in first.items]
    assert again.digest == first.digest
    assert all(item.before.ambiguous for item in again.items)
    settle(again, now=NOON + timedelta(minutes=2))
    assert look(database).sent == {("a", "FAILED"): 6}
    assert look(database).failed == {("a", "ambiguous"): 1}


def test_every_attempt_is_kept_in_order(database, record, claim, settle):
    record(decision("run1", "a"))
    for number, outcome in enumerate((OutcomeClass.UNAVAILABLE, OutcomeClass.AMBIGUOUS, OutcomeClass.SENT)):
        now = NOON + timedelta(minutes=5 * number)
        settle(claim(now=now), outcome, now=now)

    with database.reading() as connection:
        shown = outbox_views.shown(connection, "run1:FAILED")

    assert shown is not None
    ((row, attempts),) = shown.deliveries
    assert [(each.number, each.outcome) for each in attempts] == [(1, "unavailable"), (2, "ambiguous"), (3, "sent")]
    assert row.why == "route 1"


def test_pruning_leaves_what_waits_and_every_counter(database, record, claim, settle):
    record(decision("run1", "a"), decision("run2", "a", "b"), decision("run3", suppressed=None))
    settle(claim())
    settle(claim())
    before = look(database)

    with database.transaction() as connection:
        assert outbox.prune(connection, before=LATER, limit=1) == 1
        assert outbox.prune(connection, before=LATER, limit=10) == 1
        assert outbox.prune(connection, before=LATER, limit=10) == 0

    assert {row.event_id for row in rows(database)} == {"run2:FAILED"}
    assert look(database) == before
    with database.reading() as connection:
        assert outbox_views.shown(connection, "run1:FAILED") is None
        orphans = connection.exec_driver_sql("SELECT count(*) FROM attempt").scalar()
    assert orphans == 1


def test_what_is_pruned_and_found_again_would_be_told_again_so_that_retention_exceeds_lookback(database, record):
    """The config refuses a retention of less than twice the lookback; this is why."""
    record(decision("run1", suppressed=None))
    with database.transaction() as connection:
        outbox.prune(connection, before=LATER, limit=10)

    assert len(record(decision("run1", "a"))) == 1


def test_only_pending_deliveries_expire(database, record, claim, settle):
    record(decision("run1", "a"), decision("run2", "a"), decision("run3", "a"))
    settle(claim())
    claim()

    with database.transaction() as connection:
        assert outbox.has_expired(connection, now=LATER, max_age=timedelta(days=7))
        assert outbox.expire(connection, now=LATER, max_age=timedelta(days=7)) == 1
        assert not outbox.has_expired(connection, now=LATER, max_age=timedelta(days=7))

    assert [row.state for row in reversed(rows(database))] == ["sent", "pending", "suppressed"]


def test_overdue_are_those_that_wait_too_long_for_a_target_there_is(database, record):
    record(decision("run1", "a"), decision("run2", "gone"))

    with database.reading() as connection:
        soon, late = NOON + timedelta(minutes=9), NOON + timedelta(minutes=11)
        assert outbox_views.overdue(connection, ["a"], now=soon, after=timedelta(minutes=10)) == 0
        assert outbox_views.overdue(connection, ["a"], now=late, after=timedelta(minutes=10)) == 1


BROKEN = [
    ((), set(), "nothing is known"),
    ((("run1", EventKind.FAILED, "a"),), {"a"}, "told of a failure"),
    ((("run1", EventKind.FORBIDDEN, "a"), ("x", EventKind.OVERDUE, "b")), {"a", "b"}, "every kind of broken"),
    ((("run1", EventKind.CANCELLED, "a"), ("run2", EventKind.VANISHED, "a")), set(), "neither is broken"),
    ((("run1", EventKind.FAILED, "a"), ("run2", EventKind.RECOVERED, "a")), set(), "told of the recovery"),
    (
        (("run1", EventKind.FAILED, "a"), ("run2", EventKind.RECOVERED, "a"), ("run3", EventKind.FAILED, "b")),
        {"b"},
        "since the last recovery",
    ),
]


@pytest.mark.parametrize(("events", "targets", "why"), BROKEN, ids=[row[2] for row in BROKEN])
def test_who_knows_that_a_pipeline_is_broken(database, record, events, targets, why):
    for run, kind, target in events:
        record(decision(notice(run, event=kind), target))
    record(decision(notice("elsewhere", of=pipeline("another.yaml")), "c"))

    with database.reading() as connection:
        found = outbox.told(connection, [pipeline(), PipelineKey("p1", "test", pipeline().pipeline_name)])

    assert found == ({pipeline(): targets} if targets else {}), why


def test_a_suppressed_message_told_nobody(database, record):
    record(decision("run1", "a", suppressed=Suppression.SILENCED))

    with database.reading() as connection:
        assert outbox.told(connection, [pipeline()]) == {}


def test_no_url_is_in_the_store(database, record, file):
    with database.transaction() as connection:
        leases.begin_target(connection, "a", fingerprint="hash", now=NOON)

    assert b"json://" not in file.read_bytes()


def test_silences_hold_until_they_end_and_are_pruned_long_after(database):
    def silence(name, hours):
        return Silence(silence_id=name, starts_at=NOON, ends_at=NOON + timedelta(hours=hours), comment="x")

    with database.transaction() as connection:
        silences.add(connection, silence("long", 5))
        silences.add(connection, silence("short", 1))
        assert silences.active(connection, NOON) == (silence("short", 1), silence("long", 5))
        assert silences.active(connection, NOON + timedelta(hours=1)) == (silence("long", 5),)
        assert silences.end(connection, "long", now=NOON + timedelta(hours=2))
        assert not silences.end(connection, "long", now=NOON + timedelta(hours=2))
        assert not silences.end(connection, "never", now=NOON)
        assert silences.active(connection, NOON + timedelta(hours=2)) == ()
        assert silences.prune(connection, before=NOON + timedelta(hours=2)) == 1


def test_fifty_replicas_of_a_find_write_one_event(url, database):
    """Two leaders for a moment cost requests, not alerts."""
    import threading

    others = [Database.open(url, exclusive=False) for _ in range(5)]
    wrote = []

    def find(other):
        for number in range(10):
            with other.transaction() as connection:
                wrote.append(len(outbox.record(connection, (decision(f"run{number}", "a"),), now=NOON)))

    threads = [threading.Thread(target=find, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()

    assert sum(wrote) == 10
    assert len(rows(database)) == 10
