"""Promise 2: a killed process repeats, it never forgets. Killed at each write that must reach the disk."""

import re

import pytest

from exporter.core.state import State
from exporter.store import record

from .writing import change

COMMITS = 6


def kill_at(write, strace):
    """What to start a process under that is killed as it asks for its `write`-th time to reach the disk."""
    inject = f"inject=fsync,fdatasync:signal=SIGKILL:when={write}"
    return (strace, "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject)


def held(store):
    """Which change the store holds the whole of, 0 for none."""
    with store.reading() as connection:
        state = record.load(connection)
        ended = record.settled(connection, [f"ended-{number}" for number in range(1, COMMITS + 2)])
    number = state.cursor.possibly_missed
    assert ended == {f"ended-{each}" for each in range(1, number + 1)}
    if number == 0:
        assert state == State()
        return 0
    whole = change(number)
    assert state == State(
        cursor=whole.cursor,
        unfinished={"runs": whole.runs[0]},
        pipelines={one.key: one for one in whole.pipelines},
        project_names=whole.project_names,
    )
    return number


def test_killed_at_any_write_it_holds_what_was_committed_and_goes_on(tmp_path, opened, process, strace):
    killed_after_a_commit = 0
    for write in range(1, 100):
        file = tmp_path / f"killed-{write}.db"
        child = process("commit", str(COMMITS), where=file, under=kill_at(write, strace))
        said, complaints = child.communicate()
        committed = said.count("committed")
        store = opened(file)
        # What was being committed may be there or not; never less than was said, never half of it.
        assert held(store) in (committed, committed + 1)
        with store.transaction() as connection:
            record.write(connection, change(committed + 1))
        assert held(store) == committed + 1
        store.close()
        if child.returncode == 0:
            assert committed == COMMITS
            break
        assert child.returncode in (-9, 137), complaints
        killed_after_a_commit += committed > 0
    else:
        pytest.fail("it never came to its end")
    assert killed_after_a_commit >= COMMITS - 1


def test_no_commit_is_done_before_it_is_on_the_disk(tmp_path, process, strace):
    trace = tmp_path / "trace"
    child = process("commit", str(COMMITS), under=(strace, "-f", "-y", "-o", trace, "-e", "fsync,fdatasync,write"))
    assert child.wait() == 0
    on_the_disk, done = False, 0
    for line in trace.read_text().splitlines():
        if re.search(r"f(data)?sync\(\d+<\S+store\.db-wal>\) += 0", line):
            on_the_disk = True
        elif '"committed ' in line:
            assert on_the_disk, line
            on_the_disk = False
            done += 1
    assert done == COMMITS
