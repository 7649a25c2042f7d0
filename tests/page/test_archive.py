"""What the page reads from the record: targets, silences, how runs ended; and what it does when it cannot."""

from datetime import timedelta

import pytest
from web.serving import NOON

from exporter.archive import FRESH_FOR, Archive
from exporter.core.limits.runs import LimitChange, LimitedRun, Stage
from exporter.core.model import Run, Status, Trigger
from exporter.core.silences import Silence
from exporter.core.state import Change, RunRecord
from exporter.store import cancellations, record, silences
from exporter.store.database import Database

from .accounts import key


class Hand:
    """A clock that a test moves."""

    seconds = 0.0

    def now(self):
        return NOON + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds


@pytest.fixture
def database(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/record.db", exclusive=True)
    yield database
    database.close()


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def archive(database, clock):
    return Archive(database, targets=lambda: ["data-oncall"], clock=clock)


def ended(run_id, status="FAILED", **fields):
    run = Run(run_id=run_id, pipeline=key(), status=Status(status), status_text=status, message="no table", **fields)
    return RunRecord(run=run, first_seen_at=NOON, finished_seen_at=None if status == "RUNNING" else NOON)


def limited(run_id, *, closed_at):
    return LimitedRun(
        run_id=run_id,
        pipeline=key(),
        trigger=Trigger.API,
        started_at=NOON,
        limit="nightly",
        stage=Stage.CANCELLED,
        over_at=NOON,
        closed_at=closed_at,
    )


def write(database, *runs, limits=()):
    with database.transaction() as connection:
        record.write(connection, Change(runs=runs))
        cancellations.write(connection, LimitChange(runs=limits))


def silence(database, silence_id="s-1"):
    with database.transaction() as connection:
        silences.add(connection, Silence(silence_id=silence_id, starts_at=NOON, ends_at=NOON + timedelta(hours=1)))


def test_runs_are_found_with_what_a_limit_did_to_them(archive, database):
    write(database, ended("a"), ended("b", "CANCELLED"), limits=[limited("b", closed_at=NOON)])
    stories = archive.stories(["a", "b", "nobody"])
    assert {run_id: found.run.message for run_id, found in stories.runs.items()} == {"a": "no table", "b": "no table"}
    assert {run_id: found.stage for run_id, found in stories.limited.items()} == {"b": Stage.CANCELLED}
    assert stories.trouble == ""


def test_more_runs_than_a_statement_takes_are_found(archive, database):
    write(database, *[ended(f"r{number}") for number in range(1_200)])
    assert len(archive.stories([f"r{number}" for number in range(1_200)]).runs) == 1_200


def test_what_has_not_ended_is_read_again(archive, database):
    write(database, ended("a", "RUNNING"), limits=[limited("a", closed_at=None)])
    assert archive.stories(["a"]).limited == {}
    write(database, ended("a"), limits=[limited("a", closed_at=NOON)])
    assert (set(archive.stories(["a"]).runs), set(archive.stories(["a"]).limited)) == ({"a"}, {"a"})


def test_targets_and_silences_are_read_once_a_second(archive, database, clock):
    assert set(archive.around().targets) == {"data-oncall"}
    silence(database)
    assert archive.around().silences == ()
    clock.seconds = FRESH_FOR
    assert [each.silence_id for each in archive.around().silences] == ["s-1"]


def test_a_record_that_cannot_be_read_leaves_what_was_known_and_says_why(archive, database, clock, tmp_path):
    silence(database)
    write(database, ended("a"))
    assert archive.around().silences
    assert archive.stories(["a"]).runs
    (tmp_path / "record.db").rename(tmp_path / "elsewhere")
    clock.seconds = 60.0
    around, stories = archive.around(), archive.stories(["a", "b"])
    assert [each.silence_id for each in around.silences] == ["s-1"]
    assert "removed or replaced" in around.trouble
    assert ("a" in stories.runs, "removed or replaced" in stories.trouble) == (True, True)
