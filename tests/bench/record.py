"""Writing the record: a poll's commit of 100 changed runs beside a bare INSERT loop of the same rows, by turns.

The bare loop has its rows ready, knows the driver's statement, and checks nothing. On SQLite and PostgreSQL, both of
which bring every commit to the disk; records of three sizes.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from datetime import timedelta
from time import perf_counter
from typing import Any

from sqlalchemy import Connection

from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.core.state import Change, Cursor, FailureStreak, PipelineState, RunRecord
from exporter.store import record, rows, schema
from exporter.store.database import Database

from .accounts import NOON, insert_past, past_runs
from .programs import a_folder, postgresql
from .table import Effort, Goal, MissingProgramError, Row, by_turns

CHANGED = 100
KEYS = [PipelineKey(str(uuid.UUID(int=n % 20)), "prod", f"finance/nightly-{n}.orch.yaml") for n in range(2_000)]


def measure(effort: Effort) -> Iterator[Row]:
    sizes = (1_000,) if effort.quick else (10_000, 100_000, 1_000_000)
    with a_folder() as folder:
        yield from on("SQLite", f"sqlite:///{folder}/record.db", sizes, effort)
    try:
        with postgresql() as url:
            yield from on("PostgreSQL", url, sizes, effort)
    except MissingProgramError:
        if not effort.quick:
            raise


def on(name: str, url: str, sizes: tuple[int, ...], effort: Effort) -> Iterator[Row]:
    """One record that grows from size to size."""
    database = Database.open(url, exclusive=True)
    with database.transaction() as connection:
        record.write(connection, Change(pipelines=tuple(map(a_pipeline, KEYS))))
    past = past_runs(sizes[-1], KEYS, now=NOON)
    for before, size in itertools.pairwise((0, *sizes)):
        with database.transaction() as connection:
            insert_past(connection, itertools.islice(past, size - before))
        measured = Commits(database)
        ours, theirs = by_turns(measured.ours, measured.bare, effort(40, 3))
        yield Row(
            what=f"commit {CHANGED} changed runs, {name}, {size:,} recorded runs",
            unit="ms",
            ours=ours,
            theirs=theirs,
            against="a bare INSERT loop",
            goal=Goal(20),
        )
        ours, theirs = by_turns(measured.known, measured.bare_known, effort(40, 3))
        yield Row(
            what=f"look up {2 * CHANGED} run ids, {name}, {size:,} recorded runs",
            unit="ms",
            ours=ours,
            theirs=theirs,
            against="a bare SELECT loop",
        )
    database.close()


class Commits:
    """Changes of one poll after another, each once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = map(a_change, itertools.count(1))
        with database.reading() as connection:
            self._ids = [kept.run.run_id for kept in record.newest_finished(connection, limit=2 * CHANGED)]
            sqlite = connection.dialect.name == "sqlite"
        self._sign = "?" if sqlite else "%s"
        self._insert = f"INSERT INTO run VALUES ({', '.join([self._sign] * len(schema.run.c))})"
        self._update = f"UPDATE pipeline SET state = {self._sign} WHERE project_id = {self._sign}" + "".join(
            f" AND {column} = {self._sign}" for column in ("environment_name", "pipeline_name")
        )

    def ours(self) -> float:
        change = next(self._changes)
        began = perf_counter()
        with self._database.transaction() as connection:
            record.write(connection, change)
        return (perf_counter() - began) * 1e3

    def bare(self) -> float:
        """The same rows, one statement each."""
        change = next(self._changes)
        runs = [rows.run_row(each) for each in change.runs]
        pipelines = [(row[-1], *row[:-1]) for row in map(rows.pipeline_row, change.pipelines)]
        with self._database.transaction() as connection:
            driver = cursor_of(connection)
            began = perf_counter()
            for row in runs:
                driver.execute(self._insert, row)
            for row in pipelines:
                driver.execute(self._update, row)
            connection.commit()
            return (perf_counter() - began) * 1e3

    def known(self) -> float:
        began = perf_counter()
        with self._database.reading() as connection:
            found = record.settled(connection, self._ids)
        assert len(found) == len(self._ids)
        return (perf_counter() - began) * 1e3

    def bare_known(self) -> float:
        with self._database.reading() as connection:
            driver = cursor_of(connection)
            began = perf_counter()
            for run_id in self._ids:
                driver.execute(f"SELECT finished_seen_at FROM run WHERE run_id = {self._sign}", (run_id,))
                assert driver.fetchone()
            return (perf_counter() - began) * 1e3


def cursor_of(connection: Connection) -> Any:
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver.cursor()


def a_change(number: int) -> Change:
    """What a poll of so many changes writes."""
    keys = KEYS[number * CHANGED % len(KEYS) :][:CHANGED]
    start = NOON + timedelta(minutes=number)
    return Change(
        runs=tuple(a_run(key, start + timedelta(seconds=each / 10)) for each, key in enumerate(keys)),
        pipelines=tuple(map(a_pipeline, keys)),
        cursor=Cursor(polled_at=start),
    )


def a_run(key: PipelineKey, start: Any) -> RunRecord:
    end = start + timedelta(minutes=2)
    run = Run(
        run_id=str(uuid.uuid4()),
        pipeline=key,
        status=Status.SUCCESS,
        status_text="SUCCESS",
        trigger=Trigger.SCHEDULE,
        pipeline_type="ORCHESTRATION",
        schedule_id=str(uuid.UUID(int=7)),
        started_at=start,
        finished_at=end,
        message='"Rewrite Table": Success',
    )
    return RunRecord(run=run, first_seen_at=start, finished_seen_at=end)


def a_pipeline(key: PipelineKey) -> PipelineState:
    """Every tenth has failed twenty times in a row."""
    failures = tuple(
        (NOON.timestamp() + n, str(uuid.UUID(int=n))) for n in range(20 if KEYS.index(key) % 10 == 0 else 0)
    )
    return PipelineState(
        key=key,
        first_seen_at=NOON,
        watched_since=NOON,
        pipeline_type="ORCHESTRATION",
        last_success=(NOON.timestamp(), str(uuid.UUID(int=8))),
        streak=FailureStreak(orders=failures),
    )
