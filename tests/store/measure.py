"""How long the record takes: `python -m tests.store.measure [RUNS] [URL]`, by default a million runs on SQLite.

Prints the median and the slowest of repeated measurements in milliseconds, and the processor's share of the median.
"""

# ruff: noqa: T201 - what it prints is what it is for

import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.core.state import Change, Cursor, FailureStreak, PipelineState, RunRecord
from exporter.store import record
from exporter.store.database import Database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PIPELINES = 2_000
UNFINISHED = 500
AT_ONCE = 1_000
BETWEEN_RUNS = timedelta(seconds=7.7)  # a million in 90 days

chance = random.Random()
keys = [
    PipelineKey(str(uuid.UUID(int=number % 20)), "prod", f"finance/nightly-{number}.orch.yaml")
    for number in range(PIPELINES)
]


def new_run(number, *, status=Status.SUCCESS):
    """The run that started `number` runs before noon; every tenth has something to say."""
    start = NOON - number * BETWEEN_RUNS
    end = start + timedelta(seconds=chance.uniform(1, 3_600)) if status is Status.SUCCESS else None
    run = Run(
        run_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        pipeline=keys[number % PIPELINES],
        status=status,
        status_text=status.value,
        trigger=Trigger.SCHEDULE,
        pipeline_type="ORCHESTRATION",
        user="someone@example.com",
        schedule_id=str(uuid.UUID(int=number % 500)),
        started_at=start,
        finished_at=end,
        message="" if number % 10 else "The table is locked. " * 10,
    )
    return RunRecord(run=run, first_seen_at=start, finished_seen_at=end, history=True)


def new_pipeline(key):
    """Every tenth fails."""
    failures = tuple(
        (NOON.timestamp() + minute, str(uuid.uuid4())) for minute in range(20 if hash(key) % 10 == 0 else 0)
    )
    return PipelineState(
        key=key,
        first_seen_at=NOON,
        watched_since=NOON,
        pipeline_type="ORCHESTRATION",
        last_success=(NOON.timestamp(), str(uuid.uuid4())),
        streak=FailureStreak(orders=failures),
    )


@dataclass
class Stopwatch:
    """Collects what one thing takes, time after time."""

    what: str

    def __post_init__(self):
        self.wall, self.cpu = [], []

    def __enter__(self):
        self._began = time.perf_counter(), time.process_time()  # a measurement, no decision

    def __exit__(self, *_):
        self.wall.append((time.perf_counter() - self._began[0]) * 1_000)
        self.cpu.append((time.process_time() - self._began[1]) * 1_000)

    def __str__(self):
        median, slowest, cpu = statistics.median(self.wall), max(self.wall), statistics.median(self.cpu)
        return f"{self.what:<58} {median:8.2f} ms   slowest {slowest:8.2f}   processor {cpu:8.2f}"


def write(database, change, writing, committing):
    with database.transaction() as connection:
        with writing:
            record.write(connection, change)
        committing.__enter__()
    committing.__exit__(None)


def fill(database, runs):
    writing, committing = Stopwatch(f"write {AT_ONCE:,} new runs, first tenth"), Stopwatch("  commit them")
    late, late_committing = Stopwatch(f"write {AT_ONCE:,} new runs, last tenth"), Stopwatch("  commit them")
    rest = Stopwatch(""), Stopwatch("")
    began = time.perf_counter()
    for start in range(0, runs, AT_ONCE):
        watches = (
            (writing, committing) if start < runs / 10 else (late, late_committing) if start >= runs * 0.9 else rest
        )
        write(database, Change(runs=tuple(map(new_run, range(start, start + AT_ONCE)))), *watches)
    unfinished = tuple(new_run(number, status=Status.RUNNING) for number in range(UNFINISHED))
    write(database, Change(runs=unfinished, pipelines=tuple(map(new_pipeline, keys))), *rest)
    print(f"{runs:,} runs, {PIPELINES:,} pipelines written in {time.perf_counter() - began:.0f} s")
    print(writing, committing, late, late_committing, sep="\n")


def a_poll(database, runs):
    writing, committing = Stopwatch("write 100 runs, 100 pipelines, the cursor"), Stopwatch("  commit them")
    for number in range(50):
        change = Change(
            runs=tuple(new_run(-number * 100 - each) for each in range(100)),
            pipelines=tuple(map(new_pipeline, chance.sample(keys, 100))),
            cursor=Cursor(polled_at=NOON),
        )
        write(database, change, writing, committing)
    print(writing, committing, sep="\n")


def looks(database, runs):
    settled = Stopwatch("settled: 200 ids, three quarters known")
    recent = Stopwatch("settled: 200 ids of the newest runs, as a poll asks")
    with database.reading() as connection:
        found = record.newest_finished(connection, limit=min(runs, 50_000))
    known = [one.run.run_id for one in found]
    for number in range(50):
        ids = [*chance.sample(known, 150), *(str(uuid.uuid4()) for _ in range(50))]
        with settled, database.reading() as connection:
            assert len(record.settled(connection, ids)) == 150
        with recent, database.reading() as connection:
            assert len(record.settled(connection, known[number : number + 200])) == 200
    print(settled, recent, sep="\n")
    load, newest = (
        Stopwatch(f"load: {PIPELINES:,} pipelines, {UNFINISHED} unfinished runs"),
        Stopwatch("newest 20 failures"),
    )
    for _ in range(10):
        with load, database.reading() as connection:
            record.load(connection)
        with newest, database.reading() as connection:
            record.newest_failures(connection, limit=20)
    print(load, newest, sep="\n")


def pruning(database, runs):
    watch = Stopwatch("prune 5,000 old runs, with their commit")
    for _ in range(4):
        with watch, database.transaction() as connection:
            record.prune(connection, before=NOON, keep=(), limit=5_000)
    print(watch)


def the_disk(folder):
    watch = Stopwatch("for comparison: append 500 kB to a file and fsync it")
    with (folder / "comparison").open("wb", buffering=0) as file:
        for _ in range(20):
            with watch:
                file.write(os.urandom(500_000))
                os.fsync(file.fileno())
    print(watch)


def opening(url):
    watch = Stopwatch("open it")
    for _ in range(5):
        with watch:
            database = Database.open(url, exclusive=True)
        database.close()
    print(watch)


def main(runs="1000000", url=""):
    with tempfile.TemporaryDirectory(prefix="maia-measure-", dir=Path.cwd()) as folder:
        url = url or f"sqlite:///{folder}/store.db"
        database = Database.open(url, exclusive=True)
        for measure in (fill, a_poll, looks, pruning):
            measure(database, int(runs))
        database.close()
        opening(url)
        the_disk(Path(folder))
        print(f"{sum(file.stat().st_size for file in Path(folder).glob('store*')) / 1e6:,.0f} MB on the disk")


if __name__ == "__main__":
    main(*sys.argv[1:])
