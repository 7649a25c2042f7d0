"""Two real replicas on one real PostgreSQL, a simulator and a web hook; what is done to them, and what came of it.

The simulator's log tells who was asked to stop, the web hook what arrived, the database what was interrupted.
"""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from crash.harness import RUN_ID
from delivery.targets import OK, HttpTarget
from e2e.processes import Service, Simulator, until
from sqlalchemy import create_engine, text
from store.server import PostgreSQL

SCRIPT = """
history = "0s"
requests_per_minute = 1000000
[[projects]]
name = "Finance"
environments = ["prod"]
[[pipelines]]
project = "Finance"
name = "finance/load.orch.yaml"
duration = "10h"
"""

EVENT_ID = re.compile(r"^event id: (\S+)", re.MULTILINE)

LIMIT = """
[[limits]]
name = "nightly"
environments = ["prod"]
mode = "cancel"
cancel_after = "30m"
"""


@dataclass
class Tally:
    """What came of it."""

    runs: int = 0
    messages: int = 0
    lost: int = 0
    extra: int = 0
    unmarked: int = 0  # extra copies that do not say so
    interrupted: int = 0  # messages whose sender was gone, as the database has it
    cancelled_twice: int = 0

    @property
    def good(self) -> bool:
        return not (self.lost or self.unmarked or self.cancelled_twice) and self.extra <= self.interrupted

    def __str__(self) -> str:
        return (
            f"{self.runs:>5} runs {self.messages:>6} messages  lost {self.lost}  extra {self.extra} "
            f"(unmarked {self.unmarked}) of {self.interrupted} interrupted  cancelled twice {self.cancelled_twice}  "
            f"{'good' if self.good else 'BAD'}"
        )


class Bench:
    """Leaving the `with` block ends all, but not the server."""

    def __init__(
        self, folder: Path, server: PostgreSQL, *, replicas: int = 2, extra: str = "", per_minute: int = 100_000
    ) -> None:
        self.folder = folder
        self.server = server
        self._number = replicas
        self._extra = extra
        self._per_minute = per_minute
        self._stack = ExitStack()
        self.runs: list[str] = []
        self.services: list[Service] = []

    def __enter__(self) -> Self:
        self.url = self.server.new_database()
        self.engine = create_engine(self.url, pool_pre_ping=True, isolation_level="AUTOCOMMIT")
        self._stack.callback(self.engine.dispose)
        self.hook = HttpTarget(OK)
        self._stack.callback(self.hook.stop)
        script = self.folder / "script.toml"
        script.write_text(SCRIPT)
        self.simulator = Simulator(self.folder, script=script, speed=1.0)
        self._stack.callback(self.simulator.end)
        for number in range(self._number):
            self.services.append(self.start(number))
        self.leader()
        self.polled()
        return self

    def __exit__(self, *_: object) -> None:
        for service in self.services:
            if service.ended() is None:
                service.end(signal.SIGKILL)
        self._stack.close()

    # The replicas

    def start(self, number: int) -> Service:
        folder = self.folder / f"replica{number}"
        folder.mkdir(exist_ok=True)
        return Service(
            folder,
            api=self.simulator.url,
            per_minute=1_000_000,
            interval="1s",
            port=self.services[number].port if number < len(self.services) else 0,
            extra=f"""
[store]
url = "{self.url}"
[[targets]]
name = "hook"
url = "{self.hook.url}"
max_per_minute = {self._per_minute}
{self._extra}
""",
        )

    def restart(self, number: int) -> None:
        """A new process in place of one that has ended."""
        self.services[number] = self.start(number)

    def leads(self, service: Service) -> bool:
        return service.ended() is None and service.sample("maia_exporter_is_leader") == 1

    def may_lead(self, service: Service) -> bool:
        """The same of one that is perhaps not up yet."""
        try:
            return self.leads(service)
        except (OSError, httpx.HTTPError):
            return False

    def leader(self, *, timeout: float = 60.0, but: Service | None = None) -> Service:
        """Who leads, as soon as somebody (another than `but`) does."""

        def found() -> Service | None:
            return next((each for each in self.services if each is not but and self.leads(each)), None)

        service: Service = until(found, timeout=timeout, every=0.02, what="somebody leads")
        return service

    def other(self, service: Service) -> Service:
        return next(each for each in self.services if each is not service)

    def polled(self, service: Service | None = None) -> None:
        """A poll that began after now is committed."""
        service = service or self.leader()
        polls = service.sample("maia_exporter_polls_total") or 0
        until(
            lambda: (service.sample("maia_exporter_polls_total") or 0) >= polls + 2 and service.sample("maia_up"),
            timeout=40,
            what="it polls",
        )

    # The account and the database

    def fail(self, number: int) -> None:
        """So many runs fail now."""
        for _ in range(number):
            self.runs.append(self._run(status="FAILED", message="ORA-00942"))

    def hang(self) -> str:
        """A run is far past its limit; its id."""
        return self._run(status="RUNNING", trigger="API", ago="1h")

    def _run(self, **what: Any) -> str:
        made: str = self.simulator.tell("runs", pipelineName="finance/load.orch.yaml", **what)["pipelineExecutionId"]
        return made

    def asked_to_stop(self) -> list[str]:
        """The runs of all PATCHes, in order."""
        log = self.simulator.log_of_requests()
        return [each["path"].rpartition("/")[2] for each in log if each["method"] == "PATCH"]

    def ask(self, statement: str) -> Any:
        with self.engine.connect() as connection:
            result = connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None

    def waiting(self) -> int:
        """Messages that are not settled, and runs that nobody has found yet."""
        found = self.ask("SELECT count(*) FROM event WHERE event = 'FAILED'")
        return int(self.ask("SELECT count(*) FROM delivery WHERE state IN ('pending', 'leased')") or 0) + (
            len(self.runs) - int(found or 0)
        )

    def finish(self, *, timeout: float = 120.0) -> Tally:
        """Let everything be delivered, undisturbed; what came of it."""
        until(lambda: self.waiting() == 0, timeout=timeout, every=0.2, what="everything is settled")
        tally = Tally(runs=len(self.runs), messages=len(self.hook.posts))
        copies: Counter[str] = Counter()
        for post in self.hook.posts:
            # A digest has run ids only.
            ids = set(EVENT_ID.findall(post.body)) or {f"{run}:FAILED" for run in RUN_ID.findall(post.body)}
            again = any(copies[each] for each in ids)
            copies.update(ids)
            tally.extra += again
            tally.unmarked += again and "(possible repeat)" not in post.title
        tally.lost = len({f"{run}:FAILED" for run in self.runs} - copies.keys())
        tally.interrupted = int(
            self.ask(
                "SELECT count(DISTINCT (boot, CASE digest WHEN '' THEN delivery_id::text ELSE digest END)) "
                "FROM attempt WHERE outcome = 'interrupted'"
            )
            or 0
        )
        asked = Counter(self.asked_to_stop())
        tally.cancelled_twice = sum(1 for number in asked.values() if number > 1)
        return tally


def seconds_until(condition: Any, *, timeout: float) -> float:
    """How long it takes."""
    began = time.monotonic()  # noqa: TID251 - a measurement, no decision
    until(condition, timeout=timeout, every=0.02)
    return time.monotonic() - began  # noqa: TID251 - as above
