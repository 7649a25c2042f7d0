"""Transactions of several threads and processes, a server that comes and goes, and what no error says."""

import sqlite3
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from exporter.core.state import Change, Cursor
from exporter.store import record
from exporter.store.database import Database
from exporter.store.errors import StoreCorrupt, StoreError, StoreNewer, StoreUnavailable

from .server import PostgreSQL, why_no_postgresql
from .values import finished, running

PASSWORD = "hunter2%2Fsecret"


@pytest.fixture(scope="module")
def frail_server():
    """One that tests may break."""
    if missing := why_no_postgresql():
        pytest.skip(missing)
    with PostgreSQL() as server:
        yield server


def write(database, *runs, **change):
    with database.transaction() as connection:
        record.write(connection, Change(runs=runs, **change))


def unfinished(database):
    with database.reading() as connection:
        return set(record.load(connection).unfinished)


def test_a_block_that_raises_leaves_nothing_and_its_error_is_its_own(database):
    class OursError(OSError):
        pass

    def fail_in_the_middle():
        with database.transaction() as connection:
            record.write(connection, Change(runs=(running(),), cursor=Cursor(possibly_missed=1)))
            raise OursError

    with pytest.raises(OursError):
        fail_in_the_middle()
    assert unfinished(database) == set()
    write(database, running())
    assert unfinished(database) == {"r1"}


def test_a_look_is_at_one_moment_and_beside_what_is_being_written(database, url):
    command = Database.open(url, exclusive=False)
    with command.reading() as connection:
        assert record.load(connection).unfinished == {}
        write(database, running())
        assert record.load(connection).unfinished == {}
        assert record.find(connection, "r1") is None
    with database.transaction() as connection:
        record.write(connection, Change(runs=(finished(),)))
        assert unfinished(command) == {"r1"}
    assert unfinished(command) == set()
    command.close()


def test_many_threads_write_and_read_at_once(database):
    def work(number):
        for step in range(10):
            write(database, running(f"run-{number}-{step}"))
            assert f"run-{number}-{step}" in unfinished(database)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert len(unfinished(database)) == 40


def test_a_file_that_someone_else_keeps_locked_is_written_to_when_it_is_free(file):
    database = Database.open(f"sqlite:///{file}?timeout=0.05", exclusive=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="database is locked; another process holds it locked"):
            write(database, running())
        assert unfinished(database) == set()
    write(database, running())
    assert unfinished(database) == {"r1"}
    database.close()


def test_a_server_that_was_away_is_used_again_when_it_is_back(frail_server):
    database = Database.open(frail_server.new_database(), exclusive=True)
    write(database, running("before"))

    def write_while_it_restarts():
        with database.transaction() as connection:
            record.write(connection, Change(runs=(running("lost"),)))
            frail_server.restart()

    with pytest.raises(StoreUnavailable, match="is the database up"):
        write_while_it_restarts()
    assert unfinished(database) == {"before"}
    frail_server.stop()
    for use in (unfinished, write):
        with pytest.raises(StoreUnavailable, match="is the database up"):
            use(database)
    frail_server.start()
    write(database, running("after"))
    assert unfinished(database) == {"before", "after"}
    database.close()


def test_replicas_that_start_at_once_make_one_schema(frail_server):
    url = frail_server.new_database()
    with ThreadPoolExecutor(4) as threads:
        replicas = list(threads.map(lambda _: Database.open(url, exclusive=True), range(4)))
    for number, replica in enumerate(replicas):
        write(replica, running(f"r{number}"))
    assert unfinished(replicas[0]) == {"r0", "r1", "r2", "r3"}
    for replica in replicas:
        replica.close()


@pytest.mark.parametrize(
    ("statement", "error", "words"),
    [
        ("DROP TABLE run", StoreCorrupt, "restore it"),
        ("UPDATE alembic_version SET version_num = '9999'", StoreNewer, "run that version"),
    ],
)
def test_a_server_whose_database_is_not_as_we_left_it(frail_server, statement, error, words):
    url = frail_server.new_database()
    database = Database.open(url, exclusive=True)
    with database.transaction() as connection:
        connection.exec_driver_sql(statement)
    database.close()
    with pytest.raises(error, match=words):  # at once, or when it is written to
        write(Database.open(url, exclusive=True), running())


def test_a_server_that_takes_no_writes_now_takes_them_later(frail_server):
    database = Database.open(frail_server.new_database(), exclusive=True)

    def write_to_a_standby():
        with database.transaction() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            record.write(connection, Change(runs=(running(),)))

    with pytest.raises(StoreUnavailable, match="is it a standby"):
        write_to_a_standby()
    write(database, running())
    assert unfinished(database) == {"r1"}
    database.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"postgresql+psycopg://maia:{PASSWORD}@127.0.0.1:1/maia", "nobody listens, or there is no driver"),
        (f"postgresql+psycopg://maia@127.0.0.1:1/maia?password={PASSWORD}", "a password among the options"),
        (f"postgresql+psycopg://maia:{PASSWORD}@127.0.0.1:1/maia?sslmode=unheard-of", "an option that is none"),
        (f"postgresql+nothing://maia:{PASSWORD}@127.0.0.1/maia", "a driver that is none"),
        (f"postgresql+psycopg://maia:{PASSWORD}@127.0.0.1:port/maia", "no URL at all"),
    ],
)
def test_a_password_is_in_no_error_nor_in_what_caused_it(url, reason):
    with pytest.raises(StoreError) as refused:
        Database.open(url, exclusive=True)
    told = "".join(traceback.format_exception(refused.value, chain=True))
    for spelling in ("hunter2", "secret"):
        assert spelling not in "".join(line for line in told.splitlines(True) if "PASSWORD" not in line), reason
    assert str(refused.value).startswith("open the record: ")
