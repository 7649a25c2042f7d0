"""A poll's own work, from the bytes of the API's answers to the committed record and the rendered page.

The API's and the network's time is not in it. Beside it, on the same answers: `json.loads`, and the changed runs
inserted into a bare table and committed: what any program has to do that keeps what it reads.
The machine may be busy with other things, so the processor's time of the same polls stands beside the clock's.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from exporter.access import api_settings
from exporter.clock import SystemClock
from exporter.config import parse
from exporter.maia.client import MaiaClient
from exporter.store.database import Database
from exporter.watch import House, build_notifier, build_watch
from exporter.web.health import Readiness

from .accounts import Account, fill
from .programs import a_folder
from .table import Effort, Goal, Row

SIZES = ((2_000, 10_000), (2_000, 100_000), (2_000, 1_000_000), (200, 100_000), (10_000, 100_000))
"""Pipelines, and recorded runs."""

GOALS = {(2_000, 1_000_000, "nothing new"): 10, (2_000, 1_000_000, "starts and ends"): 150}
AT_TEN_THOUSAND = 750


def measure(effort: Effort) -> Iterator[Row]:
    for pipelines, runs in ((200, 1_000),) if effort.quick else SIZES:
        with a_folder() as folder, polling(folder, pipelines, runs) as (watch, account, bare):
            for changed, what in ((0, "nothing new"), (pipelines // 20, "starts and ends")):
                turns = [turn(watch, account, bare, changed) for _ in range(effort(25, 3) + 3)][3:]
                goal = GOALS.get((pipelines, runs, what), AT_TEN_THOUSAND if pipelines == 10_000 else None)
                where = f"{pipelines:,} pipelines, {runs:,} recorded runs, {pipelines // 4:,} unfinished"
                about = f"{changed:,} {what}" if changed else what
                yield Row(
                    what=f"a poll: {where}; {about}",
                    unit="ms",
                    ours=tuple(one for one, _, _ in turns),
                    theirs=tuple(other for _, _, other in turns),
                    against="json and a bare INSERT loop",
                    goal=Goal(goal) if goal else None,
                )
                yield Row(
                    what=f"the processor's share of it; {about}", unit="ms", ours=tuple(cpu for _, cpu, _ in turns)
                )


def turn(watch: Any, account: Account, bare: BarePoll, changed: int) -> tuple[float, float, float]:
    """Milliseconds: ours by the clock, ours of the processor, the reference's by the clock."""
    account.move_on(changed)
    began, cpu_began = perf_counter(), thread_time()
    good = watch.poller.poll()
    milliseconds, cpu = (perf_counter() - began) * 1e3, (thread_time() - cpu_began) * 1e3
    if not good:
        raise SystemExit("a poll failed; run with logging to see why")
    return milliseconds, cpu, bare.poll(account)


class BarePoll:
    """Decodes the same answers and keeps the runs that changed."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "bare.db")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE run (id TEXT PRIMARY KEY, status TEXT, run TEXT)")
        self._known: dict[str, str] = {}

    def poll(self, account: Account) -> float:
        answers = account.answers()
        began = perf_counter()
        for answer in answers:
            decoded = json.loads(answer)
            for run in decoded.get("results") or [decoded["result"]]:
                key, status = run["pipelineExecutionId"], run["status"]
                if self._known.get(key) != status:
                    self._known[key] = status
                    row = (key, status, json.dumps(run))
                    self._database.execute("INSERT OR REPLACE INTO run VALUES (?, ?, ?)", row)
        self._database.commit()
        return (perf_counter() - began) * 1e3

    def close(self) -> None:
        self._database.close()


@contextmanager
def polling(folder: Path, pipelines: int, runs: int, *, failing: int = 1) -> Iterator[tuple[Any, Account, BarePoll]]:
    """A poller on a full record, whose client answers by itself."""
    account = Account(pipelines, now=SystemClock().now().replace(microsecond=0), failing=failing)
    bare = BarePoll(folder)
    with watching(folder, "http://127.0.0.1:9", max_pipelines=pipelines) as (watch, database):
        fill(database, runs, account)
        watch.desk.take_up()
        account.answer_for(watch.desk.client)
        yield watch, account, bare
    bare.close()


@contextmanager
def watching(folder: Path, api: str, *, max_pipelines: int = 2_000, lookback: str = "7d") -> Iterator[tuple[Any, Any]]:
    """What reads an account, put together as the service does, and its record."""
    maia = {
        "api_url": f"{api}/dpc",
        "token_url": f"{api}/oauth/dpc/token",
        "client_id": "demo",
        "client_secret": "demo",
    }
    tables = {
        "maia": {**maia, "requests_per_minute": 100_000_000},
        "store": {"url": f"sqlite:///{folder}/bench.db"},
        "metrics": {"max_pipelines": max_pipelines},
        "poll": {"lookback": lookback},
    }
    logging.disable(logging.WARNING)
    config = parse(tables, env={}, folder=folder)
    clock = SystemClock()
    database = Database.open(config.store.url.get_secret_value(), exclusive=True, now=clock.now())
    house = House.of(config, clock=clock, readiness=Readiness())
    stop = threading.Event()
    client = MaiaClient(api_settings(config.maia), clock=clock, stop=stop, watcher=house.oddities)
    notifier = build_notifier(house, database, config=lambda: config)
    watch = build_watch(config, house, client, relief=stop, database=database, notifier=notifier)
    watch.desk.take_up()
    try:
        yield watch, database
    finally:
        watch.desk.client.close()
        database.close()
        logging.disable(logging.NOTSET)
