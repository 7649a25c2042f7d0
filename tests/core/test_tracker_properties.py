"""What must hold of every step, whatever is read in whatever order."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.core.model import Status
from exporter.core.state import Change, Cursor, Origin, ScopeEpoch, State
from exporter.store import record
from exporter.store.database import Database

from .ledger import LOAD, T0, WATCHING, Ledger, finished_ids, lives, minutes, run, started_ids, stories

FIRST = Cursor(scopes=(ScopeEpoch(since=T0),))
CURSORS = st.sampled_from([FIRST, WATCHING])
"""Before the first poll, and after it."""


def tell(ledger, story):
    for at, origin, rows, missing in story:
        ledger.observe(*rows, at=at, origin=origin, missing=missing)
    return ledger


def kept(state):
    """What a state is, without what lasts for one poll only."""
    return replace(state, introduced={})


class TestObservingTwiceChangesNothing:
    """`product.md`: every run is counted once; the tracker: rows may repeat."""

    @given(stories(stale=10), CURSORS)
    def test_the_same_again_at_once_is_no_news(self, story, cursor):
        ledger = Ledger(State(cursor=cursor))
        for at, origin, rows, missing in story:
            ledger.observe(*rows, at=at, origin=origin, missing=missing)
            before = ledger.state
            again = ledger.observe(*rows, at=at, origin=origin, missing=missing)
            assert (again.events, again.change.runs, again.change.pipelines) == ((), (), ())
            assert kept(again.state) == kept(before)

    @given(stories(), CURSORS)
    def test_the_whole_story_again_is_no_news(self, story, cursor):
        ledger = tell(Ledger(State(cursor=cursor)), [(*rest, []) for *rest, _ in story])
        before, events = ledger.state, list(ledger.events)
        last = story[-1][0]
        for _, _, rows, _ in story:
            ledger.observe(*[each for each in rows if each.finished], at=last, origin=Origin.AUDIT)
        assert ledger.events == events
        assert kept(ledger.state) == kept(before)


class TestSplittingOrReorderingChangesNothing:
    """The tracker: rows may repeat, shift, arrive late and in any order: the outcome is the same."""

    @given(stories(), CURSORS, st.data())
    def test_of_one_observation(self, story, cursor, data):
        whole, parts = Ledger(State(cursor=cursor)), Ledger(State(cursor=cursor))
        for at, origin, rows, missing in story:
            step = whole.observe(*rows, at=at, origin=origin, missing=missing)
            shuffled = data.draw(st.permutations(rows))
            cut = data.draw(st.integers(0, len(rows)))
            parts.observe(*shuffled[:cut], at=at, origin=origin, cursor=parts.state.cursor)
            parts.observe(*shuffled[cut:], at=at, origin=origin, missing=missing, cursor=step.state.cursor)
            assert parts.state.unfinished == whole.state.unfinished
            assert parts.state.pipelines == whole.state.pipelines
            assert parts.state.cursor == whole.state.cursor
        assert sorted(parts.told()) == sorted(whole.told())
        assert parts.records == whole.records

    @given(st.permutations([run(), run(status="CANCELLING"), run(status="FAILED", end=3), run(message="half")]))
    def test_of_rows_that_show_one_run_at_several_instants(self, rows):
        ledger = Ledger()
        ledger.observe(*rows, at=4)
        assert ledger.told() == ["r1:STARTED", "r1:FAILED"]
        assert ledger.records["r1"].run.message == "half"


class TestARunStartsAndFinishesOnce:
    """`product.md`: `runs_finished_total`: runs seen to finish, each once."""

    @given(stories(stale=30), CURSORS)
    def test_however_old_the_rows_are(self, story, cursor):
        ledger = tell(Ledger(State(cursor=cursor)), story)
        for ids in (finished_ids(ledger.events), started_ids(ledger.events)):
            assert len(ids) == len(set(ids))
        finished = sum(sum(pipeline.counts.finished) for pipeline in ledger.state.pipelines.values())
        started = sum(sum(pipeline.counts.started) for pipeline in ledger.state.pipelines.values())
        assert (finished, started) == (len(finished_ids(ledger.events)), len(started_ids(ledger.events)))

    @given(stories(stale=30), CURSORS)
    def test_a_finished_record_is_final(self, story, cursor):
        ledger, final = Ledger(State(cursor=cursor)), {}
        for at, origin, rows, missing in story:
            ledger.observe(*rows, at=at, origin=origin, missing=missing)
            for run_id, kept_record in final.items():
                assert ledger.records[run_id] is kept_record
                assert run_id not in ledger.state.unfinished
            final = {key: each for key, each in ledger.records.items() if each.finished_seen_at}


class TestCountersNeverFall:
    """`state.RunCounts`: they only grow."""

    @given(stories(stale=30), CURSORS)
    def test_whatever_is_read(self, story, cursor):
        ledger, before = Ledger(State(cursor=cursor)), {}
        for at, origin, rows, missing in story:
            ledger.observe(*rows, at=at, origin=origin, missing=missing)
            for key, old in before.items():
                new = ledger.state.pipelines[key].counts
                for name in ("started", "finished", "seconds"):
                    assert all(n >= o for n, o in zip(getattr(new, name), getattr(old, name), strict=True))
            before = {key: pipeline.counts for key, pipeline in ledger.state.pipelines.items()}
            assert ledger.state.cursor.baseline_failures >= 0


class TestHistoryIsCountedNowhere:
    """`product.md`: the first start on a history of failures alerts about none of them; counters begin at 0."""

    @given(lives(earliest=-90, latest=-50, most=12, dated=True), st.data())
    def test_what_ended_before_us_fills_the_gauges_only(self, past, data):
        ledger = Ledger(State(cursor=FIRST))
        rest = data.draw(st.permutations([life.row(0) for life in past]))
        first = data.draw(st.integers(0, len(rest)))
        ledger.observe(*rest[:first], at=1)
        for each in rest[first:]:
            ledger.observe(each, at=2, origin=data.draw(st.sampled_from(Origin)))
        assert ledger.events == []
        assert all(not any((*p.counts.started, *p.counts.finished)) for p in ledger.state.pipelines.values())
        failures = sum(life.outcome in ("FAILED", "FORBIDDEN") for life in past)
        assert ledger.state.cursor.baseline_failures == failures

    @given(lives(earliest=-90, latest=-1, most=12))
    def test_the_first_poll_finds_only_history(self, past):
        ledger = Ledger(State(cursor=FIRST))
        ledger.observe(*[life.row(0) for life in past], at=1)
        assert ledger.events == []


class TestTheOrderOfReadingDoesNotMatterToTheGauges:
    """`state.FailureStreak`: FAILED and FORBIDDEN runs after the last SUCCESS, whatever order they were read in."""

    @given(lives(most=14, keys=st.just(LOAD)), st.data())
    def test_of_runs_that_are_read_one_by_one(self, living, data):
        rows = [life.row(100) for life in living]
        ledger = Ledger()
        for each in data.draw(st.permutations(rows)):
            ledger.observe(each, at=200, origin=data.draw(st.sampled_from(Origin)))
        first_seen = T0 + minutes(200)
        ended = sorted(((each.finished_at or first_seen).timestamp(), each.run_id, each.status) for each in rows)
        shown = ledger.state.pipelines[LOAD]
        assert shown.last_run.order == ended[-1][:2]
        successes = [order[:2] for order in ended if order[2] is Status.SUCCESS]
        assert shown.last_success == (successes[-1] if successes else None)
        after = [order for order in ended if not successes or order[:2] > successes[-1]]
        failures = [order for order in after if order[2] in (Status.FAILED, Status.FORBIDDEN)]
        assert shown.streak.length == len(failures)
        assert shown.streak.since == (failures[0][0] if failures else None)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("record") / "maia.db"
    database = Database.open(f"sqlite:///{path}", exclusive=True, now=datetime(2026, 3, 1, tzinfo=UTC))
    yield database
    database.close()


class TestStateAfterSaveAndLoadBehavesTheSame:
    """Issue: state after save and load behaves the same."""

    @settings(deadline=None)  # disks have bad days
    @given(story=stories(stale=20), cursor=CURSORS, restarts=st.lists(st.booleans(), min_size=6, max_size=6))
    def test_after_every_step(self, database, story, cursor, restarts):
        lasting, restarted = Ledger(State(cursor=cursor)), Ledger(State(cursor=cursor))
        with database.transaction() as connection:
            for table in ("run", "pipeline", "cursor"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
            record.write(connection, Change(cursor=cursor))
        for (at, origin, rows, missing), restart in zip(story, restarts, strict=False):
            lasting.observe(*rows, at=at, origin=origin, missing=missing)
            step = restarted.observe(*rows, at=at, origin=origin, missing=missing)
            with database.transaction() as connection:
                record.write(connection, step.change)
            if restart:
                with database.reading() as connection:
                    restarted.state = record.load(connection)
                    ids = {each.run_id for each in rows}
                    settled = {i for i in ids if i in lasting.records and lasting.records[i].finished_seen_at}
                    assert record.settled(connection, ids) == settled
            assert kept(restarted.state) == kept(lasting.state)
        assert restarted.events == lasting.events
