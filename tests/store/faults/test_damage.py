"""A file that is not what we wrote, or is no longer there: said clearly, never made worse, over when its cause is."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from exporter.core.state import Change
from exporter.store import record
from exporter.store.errors import StoreCorrupt, StoreNewer, StoreUnavailable

from .writing import ended, running

PAGE = 4096


def write(store, *runs):
    with store.transaction() as connection:
        record.write(connection, Change(runs=runs))


def unfinished(store):
    with store.reading() as connection:
        return set(record.load(connection).unfinished)


def newest(store):
    with store.reading() as connection:
        return record.newest_finished(connection, limit=2_000)


def scribble(file, start, end):
    with file.open("r+b") as handle:
        handle.seek(start)
        handle.write(b"\xa5" * (end - start))


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"This is not a database.\n" * 400, "a text"),
        (bytes(2 * PAGE), "zeroes, as a crash of some file systems leaves them"),
        (b"SQLite format 3\0" + b"\xa5" * 2 * PAGE, "garbage after the first words"),
    ],
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(file, opened, content, what, exclusive):
    file.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"store\.db: .*restore it from a backup"):
        opened(exclusive=exclusive)
    assert file.read_bytes() == content, what
    file.unlink()
    write(opened(), running("a"))  # no lock is left


@pytest.mark.parametrize("whole", [0.2, 0.5, 0.8])
def test_garbage_in_the_middle_is_named_and_not_taken_for_rows(file, opened, whole):
    store = opened()
    write(store, *[ended(f"run-{number}") for number in range(2_000)])
    store.close()
    size = file.stat().st_size
    scribble(file, int(size * whole) // PAGE * PAGE, size)
    with pytest.raises(StoreCorrupt, match="restore it from a backup"):  # at once, or when the place is come to
        newest(opened())


def test_a_backup_that_is_copied_over_the_damage_is_used_at_once(file, opened, tmp_path):
    store = opened()
    write(store, running("a"))
    store.close()
    backup = shutil.copyfile(file, tmp_path / "backup")
    store = opened()
    scribble(file, 0, file.stat().st_size)
    with pytest.raises(StoreCorrupt):
        write(store, running("b"))
    shutil.copyfile(backup, file)
    assert unfinished(store) == {"a"}
    write(store, running("b"))
    assert unfinished(store) == {"a", "b"}


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE run SET message = CAST(X'FF53454352455420' AS TEXT)", "a text that is none"),
        ("UPDATE run SET started_at = 9223372036854775807", "an instant after all years"),
        ("UPDATE run SET started_at = 'yesterday'", "an instant that is a text"),
        ("DROP TABLE cursor", "a lost table"),
        ("ALTER TABLE run DROP COLUMN message", "a lost column"),
    ],
)
def test_rows_that_nobody_wrote_are_damage_and_are_not_quoted(opened, statement, what):
    store = opened()
    write(store, running("a"))
    with store.transaction() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(StoreCorrupt, match="restore it from a backup") as refused:
        unfinished(store)
    assert "SECRET" not in str(refused.value), what


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize(
    ("version", "error", "reason"),
    [
        ("9999", StoreNewer, "a later version of ours"),
        ("1975ea83b712", StoreCorrupt, "another program that uses the same tool"),
    ],
)
def test_a_schema_that_is_not_ours_is_refused_and_not_touched(file, opened, version, error, reason, exclusive):
    opened().close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    before = file.read_bytes()
    with pytest.raises(error, match=version):
        opened(exclusive=exclusive)
    assert file.read_bytes() == before, reason


def test_tables_of_another_program_are_not_taken_for_ours(file, opened):
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE run (id INTEGER)")
    with pytest.raises(StoreCorrupt, match="another program"):
        opened()


def test_a_file_that_was_moved_is_missed_and_is_used_again_when_it_is_back(file, opened, tmp_path):
    store = opened()
    write(store, running("a"))
    file.rename(tmp_path / "elsewhere.db")
    for use in (unfinished, lambda store: write(store, running("b"))):
        with pytest.raises(StoreUnavailable, match="removed or replaced while in use"):
            use(store)
    assert not file.exists()
    (tmp_path / "elsewhere.db").rename(file)
    write(store, running("c"))
    assert unfinished(store) == {"a", "c"}


def test_another_file_of_that_name_is_not_written_to(file, opened, tmp_path):
    store = opened()
    write(store, running("a"))
    other = tmp_path / "other.db"
    opened(other).close()
    other.replace(file)
    before = file.read_bytes()
    with pytest.raises(StoreUnavailable, match="removed or replaced while in use"):
        write(store, running("b"))
    assert file.read_bytes() == before
    store.close()
    assert unfinished(opened()) == set()


def test_what_was_committed_to_a_removed_file_does_not_end_up_in_the_next(file, opened):
    store = opened()
    write(store, running("a"))
    file.unlink()
    with pytest.raises(StoreUnavailable):
        write(store, running("b"))
    store.close()
    assert unfinished(opened()) == set()
