"""The limits at work on a served simulator and a real record, on a clock that moves only when told.

`Rig.poll` is one cycle of the service: read, advance, decide, commit, act. The simulator's log is the witness.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from exporter.canceller import Canceller
from exporter.clock import Mark
from exporter.core.globs import Scope
from exporter.core.limits.decide import Policy, decide
from exporter.core.limits.rules import Coverage, LimitRule, Mode
from exporter.core.limits.runs import Limits, LimitStep
from exporter.core.model import Run
from exporter.core.scope import begin_scope, watched_since
from exporter.core.tracker import advance
from exporter.maia import MaiaClient, MaiaSettings, SilentWatcher
from exporter.observer import Observer
from exporter.simulator.reader import parse_script
from exporter.simulator.server import serve
from exporter.store import cancellations, record
from exporter.store.database import Database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOOKBACK = timedelta(days=7)
NIGHTLY = "finance/nightly-load.orch.yaml"
ACCOUNT = """
history = "0s"
[[projects]]
name = "Finance"
environments = ["prod", "test"]
[[pipelines]]
project = "Finance"
name = "finance/nightly-load.orch.yaml"
environments = ["prod", "test"]
[[pipelines]]
project = "Finance"
name = "finance/hourly.orch.yaml"
environments = ["prod"]
"""


class HandClock:
    """Moves only when told, or when somebody waits on it."""

    def __init__(self) -> None:
        self.at = NOON
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.move(seconds=seconds)
        return stop.is_set()

    def move(self, **duration: float) -> None:
        self.at += timedelta(**duration)
        self.seconds += timedelta(**duration).total_seconds()

    def set(self, **duration: float) -> None:
        """Somebody sets the clock, or the machine has slept: the monotonic clock knows nothing of it."""
        self.at += timedelta(**duration)


class Killed(BaseException):
    """The process is gone: nothing after this line has happened."""


def limit(**changes: Any) -> LimitRule:
    """Cancels prod runs after 30 minutes, warned about after 20."""
    values: dict[str, Any] = {
        "name": "prod nightly",
        "mode": Mode.CANCEL,
        "scope": Scope(environments=("prod",)),
        "warn_after": timedelta(minutes=20),
        "cancel_after": timedelta(minutes=30),
        "stuck_after": timedelta(minutes=15),
    }
    return LimitRule(**(values | changes))


class Rig:
    """One exporter's limits. `restart` is a new process on the same record; `at` maps a point to what happens there.

    Points: decided (the intent is committed), looked (the run was read), claimed, sent (the PATCH was answered).
    """

    def __init__(
        self, folder: Path, *rules: LimitRule, script: str = ACCOUNT, max_per_hour: int = 5, url: str = ""
    ) -> None:
        self.rules = rules or (limit(),)
        self.interval = timedelta(seconds=30)
        self.max_per_hour = max_per_hour
        self.clock = HandClock()
        self.our_clock_is_off = timedelta(0)
        self.told: list[str] = []
        self.notices: dict[str, Any] = {}
        self.ours: set[str] = set()
        self.at: dict[str, Any] = {}
        self.on_duty = True
        self.url = url or f"sqlite:///{folder / 'record.db'}"
        self._stack = ExitStack()
        parsed = parse_script(script, source="test.toml")
        self.simulator = self._stack.enter_context(serve(parsed, speed=1, clock=lambda: self.clock.at))
        self.http = self._stack.enter_context(httpx.Client(base_url=self.simulator.control_url, trust_env=False))
        self.restart()

    def close(self) -> None:
        self.database.close()
        self._stack.close()

    # The exporter

    def restart(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
        self.database = Database.open(self.url, exclusive=True, now=self.clock.at)
        settings = MaiaSettings(
            api_url=self.simulator.api_url,
            token_url=self.simulator.token_url,
            client_id="demo",
            client_secret="demo",
            requests_per_minute=100_000,
            request_timeout=self.request_timeout if hasattr(self, "request_timeout") else 5.0,
        )
        self.client = self._stack.enter_context(
            MaiaClient(settings, clock=OurClock(self), stop=threading.Event(), watcher=SilentWatcher())
        )
        self.observer = Observer(self.client, lookback=LOOKBACK)
        self.coverage = Coverage()
        self.canceller = Canceller(
            WatchedApi(self),
            self,
            clock=OurClock(self),
            coverage=self._coverage,
            stale_after=self.policy.stale_after,
            on_duty=lambda: self.on_duty,
        )
        with self.database.reading() as connection:
            self.state = record.load(connection)
            self.canceller.limits = cancellations.load(connection)
        self.names = {project.project_id: project.name for project in self.client.projects()}

    @property
    def policy(self) -> Policy:
        return Policy.of(max_per_hour=self.max_per_hour, interval=self.interval)

    def _coverage(self) -> Coverage:
        self.coverage = self.coverage.follow(self.rules, self.state.project_names)
        return self.coverage

    def poll(self, times: int = 1) -> None:
        """One cycle, then an interval passes; so often."""
        for _ in range(times):
            self.cycle()
            self.clock.move(seconds=self.interval.total_seconds())

    def cycle(self) -> None:
        mark = Mark.of(OurClock(self))
        server_now = self.client.server_now()
        state = replace(self.state, project_names=self.names)
        if not state.cursor.scopes:
            state = replace(state, cursor=begin_scope(state.cursor, Scope(), server_now, lookback=LOOKBACK))
        reading = self.observer.poll(state, server_now=server_now, in_scope=lambda run: True, settled=self._settled)
        settled = self._settled({run.run_id for run in reading.observation.runs})
        if self.canceller.limits.breaker.is_open:
            with self.database.reading() as connection:
                breaker = cancellations.read_breaker(connection)
            self.canceller.limits = replace(self.canceller.limits, breaker=breaker)
        step = advance(
            state,
            reading.observation,
            settled=settled,
            watched_since=lambda key: watched_since(state.cursor, key, state.project_names),
            cursor=reading.cursor,
        )
        self.state = state  # names
        limited = decide(
            self.canceller.limits,
            state=step.state,
            observed=reading.observation,
            events=step.events,
            coverage=self._coverage(),
            policy=self.policy,
            moment=self.canceller.moment(server_now),
        )
        with self.database.transaction() as connection:
            record.write(connection, replace(step.change, project_names=self.names))
            cancellations.write(connection, limited.change)
        self.state = step.state
        self._tell(limited)
        self.canceller.committed(limited)
        self.reach("decided")
        self.canceller.act(mark)

    def _settled(self, run_ids: Collection[str]) -> frozenset[str]:
        with self.database.reading() as connection:
            return record.settled(connection, run_ids)

    def commit(self, step: LimitStep) -> None:
        """The journal's."""
        claims = any(request.answer.value == "sent" for _, request in step.change.requests)
        self.reach("claiming" if claims else "recording")
        with self.database.transaction() as connection:
            cancellations.write(connection, step.change)
        self._tell(step)
        self.reach("claimed" if claims else "recorded")

    def reload(self) -> Limits:
        """The journal's."""
        with self.database.reading() as connection:
            return cancellations.load(connection)

    def reach(self, point: str) -> None:
        happens = self.at.pop(point, None)
        if happens is not None:
            happens()

    def _tell(self, step: LimitStep) -> None:
        for notice, _ in step.told:
            if notice.event_id not in self.notices:
                self.told.append(notice.event_id)
            self.notices[notice.event_id] = notice
        self.ours |= step.cancelled_by_us

    # The account

    def control(self, method: str, path: str, /, **body: Any) -> Any:
        response = self.http.request(method, path, json=body) if body else self.http.request(method, path)
        assert response.is_success, response.text
        return response.json()

    def run(self, *, age: str = "1h", pipeline: str = NIGHTLY, environment: str = "prod", **more: Any) -> str:
        body = {"pipelineName": pipeline, "projectName": "Finance", "environmentName": environment, "ago": age, **more}
        return self.control("POST", "runs", **body)["pipelineExecutionId"]

    def end(self, run_id: str, status: str = "SUCCESS") -> None:
        self.control("POST", f"runs/{run_id}/end", status=status)

    def status(self, run_id: str) -> str:
        return self.control("GET", f"runs/{run_id}")["status"]

    def fault(self, kind: str, **settings: Any) -> int:
        return self.control("POST", "faults", kind=kind, **settings)["id"]

    def healed(self) -> None:
        self.control("DELETE", "faults")

    def patches(self) -> list[tuple[str, str, bool]]:
        """What the simulator was asked, also what it refused: (run id, its true status at that instant, by force)."""
        requests = self.control("GET", "log")["requests"]
        return [
            (entry["path"].rpartition("/")[2], entry.get("true_status", "?"), entry.get("force", False))
            for entry in requests
            if entry["method"] == "PATCH"
        ]

    # What is told

    def stages(self, run_id: str) -> list[str]:
        """What was told of a run, in order."""
        return [event_id.removeprefix(f"{run_id}:") for event_id in self.told if event_id.startswith(run_id)]

    def fact(self, event_id: str, label: str) -> str:
        return next(fact.value for fact in self.notices[event_id].facts if fact.label == label)

    def counts(self, what: str) -> tuple[int, ...] | int:
        """A counter, over all pipelines."""
        values = [getattr(counts, what) for counts in self.canceller.limits.counts.values()]
        return sum(values) if what == "over" else tuple(map(sum, zip(*values, strict=True)))


class OurClock:
    """The rig's clock as our process reads it: it may be set wrong."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def now(self) -> datetime:
        return self._rig.clock.at + self._rig.our_clock_is_off

    def monotonic(self) -> float:
        return self._rig.clock.seconds

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        return self._rig.clock.wait(seconds, stop)


class WatchedApi:
    """The client, with the rig's points at its calls."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rig.client, name)

    def get_run(self, project_id: str, run_id: str) -> Run:
        self._rig.reach("looking")
        run = self._rig.client.get_run(project_id, run_id)
        self._rig.reach("looked")
        return run

    def cancel(self, project_id: str, run_id: str, *, force: bool) -> None:
        self._rig.reach("sending")
        self._rig.client.cancel(project_id, run_id, force=force)
        self._rig.reach("sent")
