"""What one poll asks, and what it makes of answers that are odd, partial or refused."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter.core.model import PipelineKey, Run, Status
from exporter.core.state import Cursor, Origin, RunRecord, ScopeEpoch, State, Sweep
from exporter.maia.answers import RunPage
from exporter.maia.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    RateLimited,
    Refused,
    ServerFailed,
    Stopped,
    Unauthorized,
)
from exporter.observer import FORBIDDEN_ONLY, UNFINISHED, Observer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
LOAD = PipelineKey("p1", "prod", "load.yaml")
POLLED = Cursor(scopes=(ScopeEpoch(since=NOW - WEEK),), polled_at=NOW, newest_start_at=NOW)


def run(run_id, status="RUNNING", *, ago=60, **fields):
    """A run that started so many minutes before NOW."""
    started_at = None if ago is None else NOW - timedelta(minutes=ago)
    known = Status.__members__.get(status, Status.UNKNOWN)
    fields = {"pipeline": LOAD, "started_at": started_at, **fields}
    return Run(run_id=run_id, status=known, status_text=status, **fields)


class Api:
    """An API with some runs, and with manners of its own: `heed` says which of the asked statuses it heeds."""

    def __init__(self, *runs, size=100, heed=lambda statuses: statuses):
        self.runs, self.size, self.heed = list(runs), size, heed
        self.asked, self.errors, self.deadlines = [], {}, []

    def list_runs(self, query, token=None):
        self.asked.append("+".join(query.statuses) or "recent")
        statuses = self.heed(query.statuses)
        rows = [each for each in self.runs if not statuses or each.status_text in statuses]
        if query.started_after is not None:
            rows = [each for each in rows if each.started_at is not None and each.started_at >= query.started_after]
        if query.started_before is not None:
            rows = [each for each in rows if each.started_at <= query.started_before]
        begin = int(token or 0)
        end = begin + self.size
        return RunPage(runs=tuple(rows[begin:end]), more=str(end) if end < len(rows) else None)

    def get_run(self, project_id, run_id):
        self.asked.append(run_id)
        if run_id in self.errors:
            raise self.errors[run_id]
        found = [each for each in self.runs if each.run_id == run_id]
        if not found:
            raise NotFound("unknown")
        return found[0]

    @contextmanager
    def deadline(self, seconds):
        self.deadlines.append(seconds)
        yield


def followed(*runs):
    """A state that follows these runs."""
    return State(cursor=POLLED, unfinished={each.run_id: RunRecord(run=each, first_seen_at=NOW) for each in runs})


def observer(api, *, polls=1):
    """One that has polled already, so that it asks for two statuses at once."""
    made = Observer(api, lookback=WEEK)
    kept, api.runs = api.runs, []
    for _ in range(polls):
        poll(made, State(cursor=POLLED))
    api.runs = kept
    api.asked.clear()
    return made


def poll(watcher, state, *, in_scope=lambda _: True, settled=lambda _: frozenset(), at=NOW):
    return watcher.poll(state, server_now=at, in_scope=in_scope, settled=settled)


def seen(reading):
    return {each.run_id: each.status_text for each in reading.observation.runs}


BOTH = "+".join(UNFINISHED)


# --- the status filter ---


def refusing(statuses):
    if len(statuses) > 1:
        raise Refused("one at a time")
    return statuses


def test_the_first_poll_asks_one_status_a_call_and_the_next_ones_both_in_one():
    api = Api(run("r1"), heed=lambda statuses: statuses[-1:])
    watcher = Observer(api, lookback=WEEK)
    assert seen(poll(watcher, State(cursor=POLLED))) == {"r1": "RUNNING"}
    assert api.asked == ["recent", "FORBIDDEN", "RUNNING", "CANCELLING"]
    api.asked.clear()
    poll(watcher, State(cursor=POLLED))
    assert api.asked == ["recent", "FORBIDDEN", BOTH]


def test_a_first_poll_that_failed_leaves_the_next_one_the_first():
    api = Api(heed=refusing)
    watcher = Observer(api, lookback=WEEK)
    api.heed = lambda statuses: (_ for _ in ()).throw(ServerFailed("busy"))
    with pytest.raises(ServerFailed):
        poll(watcher, State(cursor=POLLED))
    api.heed = lambda statuses: statuses
    api.asked.clear()
    poll(watcher, State(cursor=POLLED))
    assert api.asked == ["recent", "FORBIDDEN", "RUNNING", "CANCELLING"]


@pytest.mark.parametrize(
    "heed",
    [
        refusing,
        lambda statuses: () if len(statuses) > 1 else statuses,  # two at once are no filter at all
        lambda statuses: statuses[:1],
        lambda statuses: statuses[-1:],
    ],
    ids=["refused", "not heeded", "the first", "the last"],
)
def test_a_server_that_takes_one_status_a_call_is_asked_so_from_then_on(heed, caplog):
    runs = [run("r1"), run("r2", "CANCELLING"), run("r3", "SUCCESS")]
    api = Api(*runs)
    watcher = observer(api)
    api.heed = heed
    state = followed(*runs[:2])
    assert seen(poll(watcher, state)).items() >= {"r1": "RUNNING", "r2": "CANCELLING"}.items()
    api.asked.clear()
    assert seen(poll(watcher, state)) == {"r1": "RUNNING", "r2": "CANCELLING"}
    assert api.asked == ["recent", "FORBIDDEN", "RUNNING", "CANCELLING"]
    assert len(caplog.messages) == 1


def test_a_row_that_moved_on_while_the_answer_was_made_is_no_reason_to_ask_one_by_one(caplog):
    api = Api(run("r1"))
    watcher = observer(api)
    once = iter([("SUCCESS",), UNFINISHED])
    api.runs = [run("r1", "SUCCESS")]
    api.heed = lambda statuses: next(once) if statuses == UNFINISHED else statuses
    poll(watcher, followed(run("r1")))
    assert api.asked == ["recent", "FORBIDDEN", BOTH, BOTH]
    assert caplog.messages == []


def test_one_status_that_is_refused_is_an_error():
    api = Api(heed=lambda statuses: refusing(UNFINISHED) if statuses and statuses != FORBIDDEN_ONLY else statuses)
    watcher = Observer(api, lookback=WEEK)
    with pytest.raises(Refused):
        poll(watcher, State(cursor=POLLED))


def test_a_filter_that_is_not_heeded_at_all_does_not_bring_in_the_accounts_past():
    api = Api(*[run(f"r{number}", "SUCCESS") for number in range(50)], size=10)
    watcher = observer(api)
    api.heed = lambda statuses: ()
    poll(watcher, State(cursor=POLLED))
    assert len(api.asked) < 8


def test_a_list_that_goes_in_a_circle_ends():
    api = Api()
    watcher = observer(api)
    api.list_runs = lambda query, token=None: (
        RunPage(runs=(run("r1"),), more="again") if query.statuses == UNFINISHED else RunPage(runs=())
    )
    assert seen(poll(watcher, State(cursor=POLLED))) == {"r1": "RUNNING"}


def test_an_unfinished_list_is_read_to_its_end_also_over_a_page_that_nobody_can_read():
    api = Api(*[run(f"r{number}") for number in range(250)])
    watcher = observer(api)
    whole = api.list_runs

    def list_runs(query, token=None):
        page = whole(query, token)
        return replace(page, runs=()) if token == "100" else page

    api.list_runs = list_runs
    assert len(seen(poll(watcher, State(cursor=POLLED)))) == 150


# --- runs read one by one ---


def test_what_no_list_shows_is_read_by_itself():
    api = Api(run("r1", "SUCCESS", finished_at=NOW))
    reading = poll(observer(api), followed(run("r1"), run("gone")))
    assert seen(reading) == {"r1": "SUCCESS"}
    assert reading.observation.missing == {"gone"}
    assert (reading.unread, reading.observation.origin) == ((), Origin.POLL)


def test_a_run_that_says_less_by_itself_is_filled_from_its_row_before_its_scope_is_looked_at():
    bare = run("R1", "SUCCESS", pipeline=PipelineKey("p1", "", "load.yaml"), started_at=None, finished_at=NOW)
    api = Api(bare)
    api.get_run = lambda project_id, run_id: bare
    reading = poll(observer(api), followed(run("r1")), in_scope=lambda each: each.pipeline.environment_name == "prod")
    (found,) = reading.observation.runs
    assert (found.run_id, found.pipeline, found.started_at) == ("r1", LOAD, NOW - timedelta(minutes=60))


def test_a_row_is_read_once_from_each_list_that_shows_it():
    api = Api(run("new", ago=0), run("old"), run("hung", "CANCELLING", ago=6000))
    reading = poll(observer(api), followed(run("old"), run("hung")))
    assert sorted(each.run_id for each in reading.observation.runs) == ["hung", "new", "new", "old"]


def test_what_is_out_of_scope_is_neither_read_nor_told():
    api = Api(run("r1"), run("r2", "FORBIDDEN"))
    reading = poll(observer(api), followed(run("r3")), in_scope=lambda _: False)
    assert (seen(reading), reading.observation.missing) == ({}, frozenset())
    assert api.asked == ["recent", "FORBIDDEN", BOTH]


def test_a_vanished_run_is_not_asked_for_any_more():
    state = followed(run("r1"))
    state = replace(state, unfinished={"r1": replace(state.unfinished["r1"], vanished_at=NOW)})
    api = Api()
    poll(observer(api), state)
    assert api.asked == ["recent", "FORBIDDEN", BOTH]


NOWHERE = PipelineKey("", "prod", "load.yaml")


@pytest.mark.parametrize(
    ("others", "there", "found"),
    [
        (0, True, "r1"),
        (0, False, None),
        (150, True, "r1"),  # on the second page of what started in the same second
        (1500, True, "kept"),  # not within ten pages: nobody knows, so it stays as it is
    ],
)
def test_a_run_without_a_project_is_looked_for_among_those_of_its_second(others, there, found):
    api = Api(*[run(f"x{number}", "SUCCESS") for number in range(others)])
    api.runs += [run("r1", "SUCCESS", pipeline=NOWHERE)] if there else []
    state = replace(followed(run("r1", pipeline=NOWHERE)), cursor=replace(POLLED, newest_start_at=NOW))
    reading = poll(observer(api), state)
    assert reading.observation.missing == ({"r1"} if found is None else frozenset())
    expected = {"r1": {"r1": "SUCCESS"}, "kept": {"r1": "RUNNING"}, None: {}}[found]
    assert seen(reading) == expected


def test_a_run_without_project_and_start_stays_as_it_is():
    reading = poll(observer(Api()), followed(run("r1", ago=None, pipeline=NOWHERE)))
    assert seen(reading) == {"r1": "RUNNING"}


@pytest.mark.parametrize(
    "error",
    [Forbidden("no", project_id="p1"), BadAnswer("a web page"), Refused("never")],
    ids=lambda e: type(e).__name__,
)
def test_a_run_that_cannot_be_read_does_not_stop_the_others(error):
    api = Api(run("r2", "SUCCESS"))
    api.errors["r1"] = error
    reading = poll(observer(api), followed(run("r1"), run("r2")))
    assert seen(reading) == {"r2": "SUCCESS"}
    assert reading.unread == (("p1", error),)


@pytest.mark.parametrize("error", [ServerFailed("busy"), RateLimited("slow down")], ids=lambda e: type(e).__name__)
def test_what_had_to_wait_comes_first_in_the_next_poll(error):
    ended = [run(f"r{number}", "SUCCESS") for number in range(4)]
    api = Api(*ended)
    watcher = observer(api)
    api.errors["r1"] = error
    state = followed(*[run(f"r{number}") for number in range(4)])
    first = poll(watcher, state)
    assert (set(seen(first)), len(first.unread)) == ({"r0"}, 1)
    state = replace(state, unfinished={key: each for key, each in state.unfinished.items() if key != "r0"})
    api.asked.clear()
    assert set(seen(poll(watcher, state))) == {"r2", "r3"}
    assert api.asked[-3:] == ["r2", "r3", "r1"]


@pytest.mark.parametrize("error", [Unauthorized("bad secret"), Stopped("stopped")], ids=lambda e: type(e).__name__)
def test_bad_credentials_and_a_stop_end_the_poll(error):
    api = Api()
    watcher = observer(api)
    api.errors["r1"] = error
    with pytest.raises(type(error)):
        poll(watcher, followed(run("r1")))


def test_an_unknown_status_on_a_recent_row_is_its_read():
    paused = run("r1", "PAUSED", ago=0)
    api = Api(paused)
    poll(observer(api), followed(paused))
    assert api.asked == ["recent", "FORBIDDEN", BOTH]


def test_an_unknown_status_on_no_list_is_read_by_itself():
    paused = run("r1", "PAUSED")
    api = Api(paused)
    poll(observer(api), followed(paused))
    assert api.asked == ["recent", "FORBIDDEN", BOTH, "r1"]


# --- recent pages and sweeps ---


def test_the_first_poll_leaves_what_is_older_than_a_page_for_later():
    api = Api(*[run(f"r{number}", "SUCCESS", ago=number) for number in range(150)])
    reading = poll(observer(api), State(cursor=Cursor(scopes=POLLED.scopes)))
    (sweep,) = [each for each in reading.cursor.sweeps if each.origin is Origin.HISTORY]
    oldest = NOW - timedelta(minutes=99)
    assert sweep == Sweep(origin=Origin.HISTORY, started_after=NOW - WEEK, token="100", oldest_read=oldest)


def test_ten_pages_belong_to_a_poll_and_the_rest_is_caught_up_with():
    api = Api(*[run(f"r{number:04}", "SUCCESS", ago=0) for number in range(1500)])
    watcher = observer(api)
    state = State(cursor=replace(POLLED, polled_at=NOW - timedelta(hours=1), newest_start_at=NOW - timedelta(hours=1)))
    reading = poll(watcher, state)
    assert len(reading.observation.runs) == 1000
    sweeps = [each for each in reading.cursor.sweeps if each.origin is Origin.CATCH_UP]
    assert [(each.token, each.oldest_read) for each in sweeps] == [("1000", NOW)]


def test_late_rows_are_followed_over_pages_only_while_they_are_new():
    late = [run(f"r{number:03}", "SUCCESS", ago=5) for number in range(250)]
    api = Api(*late)
    watcher = observer(api)
    poll(watcher, State(cursor=POLLED))
    assert api.asked.count("recent") == 3
    api.asked.clear()
    poll(watcher, State(cursor=POLLED), settled=lambda ids: ids)
    assert api.asked.count("recent") == 1
    api.asked.clear()
    poll(watcher, followed(*late))
    assert api.asked.count("recent") == 1
    api.asked.clear()
    poll(watcher, State(cursor=POLLED), in_scope=lambda _: False)
    assert api.asked.count("recent") == 1


def test_a_sweep_asks_for_what_it_is_about():
    api = Api(run("r1", "SUCCESS"), run("r2", "FORBIDDEN"))
    watcher = Observer(api, lookback=WEEK)
    assert [each.run_id for each in watcher.page(Sweep(origin=Origin.FORBIDDEN)).runs] == ["r2"]
    audit = Sweep(origin=Origin.AUDIT, started_after=NOW - WEEK, started_before=NOW)
    assert [each.run_id for each in watcher.page(audit).runs] == ["r1", "r2"]
    assert watcher.page_after(audit, "1").runs == (api.runs[1],)
