"""Made-up accounts: a state to render, a record full of runs, and an API whose answers were made before.

Must not measure anything.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from exporter.core.globs import Scope
from exporter.core.model import FINISHED_STATUSES, PipelineKey, Project, Run, Status, Trigger
from exporter.core.recent import RECENT_KEPT, RecentRun, RecentRuns
from exporter.core.state import (
    TRIGGERS,
    Change,
    Cursor,
    FinishedRun,
    PipelineState,
    RunCounts,
    RunRecord,
    ScopeEpoch,
    State,
)
from exporter.maia import wire
from exporter.maia.errors import NotFound
from exporter.store import record, rows, schema
from exporter.store.database import Database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PROJECT = "5e1f0000-aaaa-4bbb-8ccc-000000000001"
PAGE = 100


def project_id(index: int) -> str:
    return f"5e1f{index:04}-aaaa-4bbb-8ccc-000000000001"


def state_of(number: int, *, seed: int) -> State:
    """Pipelines of ten projects that have all run; every fourth runs now."""
    chance = random.Random(seed)
    pipelines = [pipeline(index, chance) for index in range(number)]
    runs = [
        Run(run_id=f"run-{index}", pipeline=one.key, status=Status.RUNNING, status_text="RUNNING", started_at=NOON)
        for index, one in enumerate(pipelines[::4])
    ]
    return State(
        pipelines={one.key: one for one in pipelines},
        unfinished={run.run_id: RunRecord(run=run, first_seen_at=NOON) for run in runs},
        project_names={project_id(index): f"Project {index}" for index in range(10)},
    )


def pipeline(index: int, chance: random.Random) -> PipelineState:
    """One of ten projects' pipelines."""
    environment = ("prod", "test", "dev")[index % 3]
    key = PipelineKey(project_id(index % 10), environment, f"domain-{index % 17}/load-table-{index}.orch.yaml")
    return with_a_past(key, chance, before=NOON)


def with_a_past(key: PipelineKey, chance: random.Random, *, before: datetime) -> PipelineState:
    """A pipeline that has run often, some runs of which have failed."""
    recent = sorted(a_recent_run(chance, before=before) for _ in range(RECENT_KEPT))
    last = recent[-1]
    return PipelineState(
        key=key,
        first_seen_at=before - timedelta(days=30),
        watched_since=before - timedelta(days=30),
        listed_at=before - timedelta(days=30),
        pipeline_type="ORCHESTRATION",
        last_run=FinishedRun(
            order=last[:2],
            status=last.status,
            started_at=datetime.fromtimestamp(last.finished - (last.seconds or 0), UTC),
            finished_at=datetime.fromtimestamp(last.finished, UTC),
            duration_seconds=last.seconds,
        ),
        recent=RecentRuns.of(recent),
        last_success=recent[0][:2],
        counts=RunCounts(
            started=tuple(chance.randrange(500) for _ in TRIGGERS),
            finished=tuple(chance.randrange(500) for _ in FINISHED_STATUSES),
            seconds=tuple(round(chance.uniform(0, 1e6), 3) for _ in FINISHED_STATUSES),
        ),
    )


def a_recent_run(chance: random.Random, *, before: datetime) -> RecentRun:
    status = chance.choice((Status.SUCCESS,) * 9 + (Status.FAILED,))
    run_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    ended = before.timestamp() - round(chance.uniform(3_600, 600_000), 3)
    return RecentRun(ended, run_id, status, round(chance.uniform(1, 5_000), 3))


def busier(state: State, share: float, *, seed: int) -> State:
    """The same state, with another past for a share of its pipelines."""
    chance = random.Random(seed)
    changed = chance.sample(list(state.pipelines), max(1, int(len(state.pipelines) * share)))
    newer = {
        key: replace(state.pipelines[key], counts=pipeline(0, chance).counts, last_run=pipeline(0, chance).last_run)
        for key in changed
    }
    return replace(state, pipelines={**state.pipelines, **newer})


class Account:
    """Answers the poller's calls with bytes that were made before: what the network would have brought.

    A quarter of the pipelines runs at any time.
    """

    def __init__(self, pipelines: int, *, now: datetime, failing: int = 1) -> None:
        """Of `failing` endings one is a failure."""
        self.failing, self.endings = failing, iter(range(10**9))
        self.began = self.at = now
        self.keys = [PipelineKey(PROJECT, "prod", f"ingest/pipeline-{n}.orch.yaml") for n in range(pipelines)]
        self.numbers = iter(range(10**9))
        self.running = [self.made(now - timedelta(hours=3, seconds=n)) for n in range(pipelines // 4)]
        self.recent = [self.ended(self.made(now - timedelta(minutes=20, seconds=n))) for n in range(PAGE)]
        self.forbidden = [self.ended(self.made(now - timedelta(days=2)), "FORBIDDEN") for _ in range(PAGE)]
        self.pages: dict[tuple[str, ...], list[bytes]] = {}
        self.single: dict[str, bytes] = {}

    def made(self, started_at: datetime) -> dict[str, Any]:
        number = next(self.numbers)
        key = self.keys[number % len(self.keys)]
        return {
            "pipelineExecutionId": f"0a51ce00-0000-4000-8000-{number:012d}",
            "pipelineName": key.pipeline_name,
            "pipelineType": "ORCHESTRATION",
            "projectId": key.project_id,
            "environmentName": key.environment_name,
            "status": "RUNNING",
            "trigger": "SCHEDULE",
            "scheduleId": "5c4ed01e-0000-4000-8000-000000000000",
            "startedAt": started_at.isoformat(),
        }

    @staticmethod
    def ended(run: dict[str, Any], status: str = "SUCCESS") -> dict[str, Any]:
        end = datetime.fromisoformat(run["startedAt"]) + timedelta(minutes=2)
        return {**run, "status": status, "finishedAt": end.isoformat(), "message": '"Rewrite Table": Success'}

    def next_end(self) -> str:
        return "SUCCESS" if next(self.endings) % self.failing else "FAILED"

    def move_on(self, changed: int) -> None:
        """Half of the changes end, half start; then the answers are made ready."""
        self.at += timedelta(seconds=30)
        ends = [self.ended(run, self.next_end()) for run in self.running[: changed // 2]]
        starts = [self.made(self.at - timedelta(seconds=n % 29)) for n in range(changed // 2)]
        self.running = [*self.running[changed // 2 :], *starts]
        self.recent = [*starts, *self.recent][: max(PAGE, len(starts))]
        self.single = {run["pipelineExecutionId"]: json.dumps({"result": run}).encode() for run in ends}
        self.pages = {
            (): paged(self.recent),
            ("FORBIDDEN",): paged(self.forbidden),
            ("RUNNING", "CANCELLING"): paged(self.running),
            ("RUNNING",): paged(self.running),
            ("CANCELLING",): paged([]),
        }

    def answer_for(self, client: Any) -> None:
        """Take the place of the client's calls."""

        def list_runs(query: Any, token: str | None = None) -> Any:
            return wire.run_page(self.pages[query.statuses][int(token or 0)])

        def get_run(project_id: str, run_id: str) -> Run:
            if run_id not in self.single:
                raise NotFound(run_id)
            return wire.one_run(self.single[run_id], project_id=project_id, run_id=run_id)[0]

        client.list_runs, client.get_run = list_runs, get_run
        client.projects = lambda: [Project(PROJECT, "Finance")]
        client.server_now = lambda: self.at

    def answers(self) -> list[bytes]:
        """What a poll is answered, all of it."""
        lists = (self.pages[()], self.pages["FORBIDDEN",], self.pages["RUNNING", "CANCELLING"])
        return [page for pages in lists for page in pages] + list(self.single.values())


def paged(runs: list[dict[str, Any]]) -> list[bytes]:
    pages = [runs[at : at + PAGE] for at in range(0, len(runs), PAGE)] or [[]]
    more = [{"more": str(n + 1)} if n + 1 < len(pages) else {} for n in range(len(pages))]
    return [json.dumps({"results": page, **rest}).encode() for page, rest in zip(pages, more, strict=True)]


def past_runs(number: int, keys: list[PipelineKey], *, now: datetime) -> Iterator[RunRecord]:
    """So many finished runs of the last thirty days."""
    began, shuffled = now - timedelta(days=30), random.Random(1)
    for each in range(number):
        start = began + timedelta(days=30) * (each / number)
        run = Run(
            run_id=f"{shuffled.getrandbits(32):08x}-0000-4000-8000-{each:012d}",
            pipeline=keys[each % len(keys)],
            status=Status.SUCCESS,
            status_text="SUCCESS",
            trigger=Trigger.SCHEDULE,
            pipeline_type="ORCHESTRATION",
            started_at=start,
            finished_at=start + timedelta(minutes=2),
            message='"Rewrite Table": Success',
        )
        yield RunRecord(run=run, first_seen_at=start, finished_seen_at=start)


def fill(database: Database, runs: int, account: Account) -> None:
    """Record that many finished runs, and what the account is in the middle of."""
    now, began = account.began, account.began - timedelta(days=30)
    known = [
        wire.one_run(json.dumps(run).encode(), project_id=PROJECT, run_id=run["pipelineExecutionId"])[0]
        for run in (*account.running, *account.recent, *account.forbidden)
    ]
    records = [RunRecord(run=run, first_seen_at=now, finished_seen_at=now if run.finished else None) for run in known]
    chance = random.Random(1)
    states = [with_a_past(key, chance, before=now) for key in account.keys]
    cursor = Cursor(
        scopes=(ScopeEpoch(since=began, scope=Scope()),),
        newest_start_at=now - timedelta(minutes=20),
        polled_at=now,
        audited_at=now,
        forbidden_swept_at=now,
    )
    with database.transaction() as connection:
        insert_past(connection, past_runs(runs, account.keys, now=now))
        change = Change(runs=tuple(records), pipelines=tuple(states), project_names={PROJECT: "Finance"}, cursor=cursor)
        record.write(connection, change)


def insert_past(connection: Any, runs: Iterator[RunRecord]) -> None:
    """As fast as the driver goes."""
    driver = connection.connection.driver_connection
    sign = "?" if connection.dialect.name == "sqlite" else "%s"
    signs = ", ".join([sign] * len(schema.run.c))
    driver.cursor().executemany(f"INSERT INTO run VALUES ({signs})", map(rows.run_row, runs))
