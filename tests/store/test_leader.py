"""The row of the leader on a real PostgreSQL: one at a time, and a transaction of an earlier one cannot end."""

import threading

import pytest
from e2e.processes import until

from exporter.core.state import Change, Cursor
from exporter.store import leader, record
from exporter.store.database import Database
from exporter.store.errors import NotLeading, StoreUnavailable

from .server import why_no_postgresql
from .values import running


@pytest.fixture
def url(request):
    if missing := why_no_postgresql():
        pytest.skip(missing)
    return request.getfixturevalue("server").new_database()


@pytest.fixture
def other(database, url):
    """Another replica's."""
    opened = Database.open(url, exclusive=True)
    yield opened
    opened.close()


def take(database, owner, *, seconds=60.0):
    with database.transaction() as connection:
        return leader.take(connection, owner, seconds=seconds)


def renew(database, owner, fence, *, seconds=60.0):
    with database.transaction() as connection:
        return leader.renew(connection, owner, fence, seconds=seconds)


def fenced(database, owner, fence):
    return database.fenced(lambda connection: leader.confirm(connection, owner, fence))


def write(database):
    with database.transaction() as connection:
        record.write(connection, Change(runs=(running(),), cursor=Cursor(possibly_missed=1)))


def unfinished(database):
    with database.reading() as connection:
        return set(record.load(connection).unfinished)


def test_one_leads_until_its_lease_has_ended_or_is_given_back(database, other):
    with database.reading() as connection:
        assert leader.is_free(connection)
    assert take(database, "a") == 1
    assert take(other, "b") is None
    assert take(database, "a") is None, "it renews, it does not take"
    assert renew(database, "a", 1, seconds=0.0) is True
    assert take(other, "b") == 2
    assert renew(database, "a", 1) is False
    with other.transaction() as connection:
        leader.release(connection, "b", 2)
    assert take(database, "a") == 3


def test_who_does_not_lead_any_more_writes_nothing(database, other):
    first = fenced(database, "a", take(database, "a"))
    write(first)
    assert renew(database, "a", 1, seconds=0.0)
    with pytest.raises(NotLeading):
        write(first)
    assert take(other, "b") == 2
    with pytest.raises(NotLeading):
        write(first)
    write(fenced(other, "b", 2))
    assert first.place == database.place
    write(database)  # a command: it is fenced by nothing


def test_nobody_takes_over_while_a_transaction_of_the_leader_is_under_way(database, other):
    first = fenced(database, "a", take(database, "a", seconds=0.5))
    taken = []
    thread = threading.Thread(target=lambda: taken.append(until(lambda: take(other, "b"))))
    with first.transaction() as connection:
        thread.start()
        thread.join(1.5)
        assert not taken, "the lease has ended, the transaction has not"
        record.write(connection, Change(runs=(running(),)))
    thread.join(10)

    assert taken == [2]
    assert unfinished(other) == {"r1"}


def test_the_server_ends_a_transaction_whose_process_has_been_stopped(database, other):
    first = fenced(database, "a", take(database, "a", seconds=1.0))
    taken = []

    def sleep_in_the_middle():
        with first.transaction() as connection:
            record.write(connection, Change(runs=(running(),)))
            # Waits for this very transaction, which is idle as that of a stopped process is.
            taken.append(until(lambda: take(other, "b")))
            record.write(connection, Change(runs=(running("late"),)))

    with pytest.raises(StoreUnavailable):
        sleep_in_the_middle()
    assert taken == [2]
    assert unfinished(other) == set()
