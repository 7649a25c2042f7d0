"""Full and read-only disks: a clear error, nothing lost, and the same object goes on when the cause is gone."""

import shutil
import subprocess

import pytest

from exporter.core.state import Change
from exporter.store import record
from exporter.store.errors import StoreUnavailable

from .conftest import not_tested
from .writing import ended, running

MANY = [ended(f"run-{number}") for number in range(3_000)]


@pytest.fixture
def disk(tmp_path):
    """A disk of 2 MB that really gets full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if mount.returncode:
        not_tested(f"a full disk needs the right to mount one ({mount.stderr.strip()})")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def write(store, *runs):
    with store.transaction() as connection:
        record.write(connection, Change(runs=runs))


def ids(store):
    with store.reading() as connection:
        return set(connection.exec_driver_sql("SELECT run_id FROM run").scalars())


def filled(disk):
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as handle:
        while free := shutil.disk_usage(disk).free:
            handle.write(bytes(free))
    return ballast


def test_a_full_disk_loses_nothing_and_is_over_when_there_is_space(disk, opened):
    store = opened(disk / "store.db")
    write(store, running("before"))
    ballast = filled(disk)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"write the record: .*store\.db: .*disk"):
            write(store, *MANY)
    assert ids(store) == {"before"}
    ballast.unlink()
    write(store, ended("after"))
    assert ids(store) == {"before", "after"}


def test_a_store_on_a_full_disk_is_read_and_not_made(disk, opened):
    store = opened(disk / "store.db")
    write(store, running("before"))
    ballast = filled(disk)
    with pytest.raises(StoreUnavailable, match=r"open the record: .*new\.db: .*"):
        opened(disk / "new.db")
    assert ids(store) == {"before"}
    ballast.unlink()
    write(opened(disk / "new.db"), ended("after"))


def test_a_service_that_filled_the_disk_finds_all_that_it_had_committed(disk, opened, process):
    child = process("commit", "100000", where=disk / "store.db")
    *_, committed, error = child.communicate()[0].splitlines()
    assert error.startswith("StoreUnavailable: write the record: ")
    subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    store = opened(disk / "store.db")
    with store.reading() as connection:
        assert f"committed {record.load(connection).cursor.possibly_missed}" == committed
    write(store, ended("after"))


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path, process, obedient):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o555)
    child = process("commit", "1", where=folder / "store.db", under=obedient)
    said = child.communicate()[0]
    assert child.returncode == 1
    assert said.startswith(f"StoreUnavailable: open the record: {folder}/store.db: Permission denied; ")
    assert "write access" in said
    assert list(folder.iterdir()) == []


def test_a_file_that_may_be_written_to_again_is_written_to(tmp_path, opened, process, obedient):
    opened(tmp_path / "store.db").close()
    (tmp_path / "store.db").chmod(0o444)
    child = process("ask", where=tmp_path / "store.db", under=obedient)
    assert child.stdout.readline() == "open\n"

    def answer():
        child.stdin.write("\n")
        child.stdin.flush()
        return child.stdout.readline()

    assert "write access" in answer()
    for one in tmp_path.iterdir():  # SQLite gives what it makes beside the file the file's own permissions
        one.chmod(0o644)
    assert answer() == "committed 2\n"


def test_a_folder_that_is_not_there_is_named(opened, tmp_path):
    with pytest.raises(StoreUnavailable, match="create the folder"):
        opened(tmp_path / "nowhere" / "store.db")
    assert list(tmp_path.iterdir()) == []
