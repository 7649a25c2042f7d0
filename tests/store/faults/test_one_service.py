"""One service at a time; commands look in beside it."""

import os
import socket

import pytest

from exporter.core.state import Change
from exporter.store import record
from exporter.store.errors import StoreLocked, StoreUnavailable

from .writing import running


def write(store, *run_ids):
    with store.transaction() as connection:
        record.write(connection, Change(runs=tuple(map(running, run_ids))))


def unfinished(store):
    with store.reading() as connection:
        return set(record.load(connection).unfinished)


def test_a_second_service_is_refused_and_told_who_the_first_is(file, opened, process):
    first = process("ask")
    assert first.stdout.readline() == "open\n"
    with pytest.raises(StoreLocked) as refused:
        opened()
    for fact in (str(file), f"pid {first.pid}", socket.gethostname(), "2026-01-31T12:00:00Z"):
        assert fact in str(refused.value)


def test_a_killed_service_leaves_no_lock(opened, process):
    first = process("ask")
    first.stdout.readline()
    first.kill()
    first.wait()
    write(opened(), "a")


def test_a_refused_service_ends_and_leaves_the_name_of_the_first(opened, process):
    store = opened()
    for _ in range(2):
        second = process("ask")
        assert f"pid {os.getpid()} " in second.communicate()[0]
        assert second.returncode == 1
    store.close()
    assert process("ask").stdout.readline() == "open\n"


def test_another_name_of_the_file_has_the_same_lock(file, opened, tmp_path):
    opened()
    (tmp_path / "link.db").symlink_to(file)
    with pytest.raises(StoreLocked):
        opened(tmp_path / "link.db")


def test_a_command_reads_what_is_committed_while_the_service_writes(opened, process):
    store = opened()
    write(store, "a", "b")
    with store.transaction() as connection:
        record.write(connection, Change(runs=(running("not yet"),)))
        assert process("look").communicate()[0] == "open\na b\n"


def test_a_command_and_the_service_write_in_turn(opened):
    service, command = opened(), opened(exclusive=False)
    for store, run_id in ((command, "a"), (service, "b"), (command, "c")):
        write(store, run_id)
    assert unfinished(service) == unfinished(command) == {"a", "b", "c"}


def test_a_look_is_at_one_moment(opened):
    service, command = opened(), opened(exclusive=False)
    with command.reading() as connection:
        assert record.find(connection, "a") is None
        write(service, "a")
        assert record.find(connection, "a") is None


def test_a_command_makes_no_file(opened, tmp_path):
    with pytest.raises(StoreUnavailable, match="start the service once"):
        opened(exclusive=False)
    assert list(tmp_path.iterdir()) == []


def test_a_command_leaves_nothing_behind(opened, tmp_path):
    opened().close()
    before = set(tmp_path.iterdir())
    opened(exclusive=False).close()
    assert set(tmp_path.iterdir()) == before
