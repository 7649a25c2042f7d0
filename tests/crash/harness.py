"""Kills the real service again and again while it delivers, and counts what arrived.

The service is `maia-exporter run` on a simulator, with a Slack webhook (TLS, through a proxy that answers for
hooks.slack.com) and a mailbox. Its targets pull the trigger: they know how far a delivery has come.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import ssl
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import trustme
from delivery.targets import HttpTarget, MailTarget
from e2e.processes import Service, Simulator, until

SCRIPT = """
history = "0s"
requests_per_minute = 1000000
[[projects]]
name = "Finance"
environments = ["prod"]
[[pipelines]]
project = "Finance"
name = "finance/load.orch.yaml"
duration = "10m"
"""

RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

STEPS = ("connected", "received", "answered")
"""How far a delivery has come: a connection, the whole message, our answer is under way."""


class Trigger:
    """Kills the service at a step of its next delivery, once it is armed; a delivery waits meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._step = ""
        self._pid = 0
        self.pulled = threading.Event()

    def arm(self, pid: int, step: str) -> None:
        with self._lock:
            self._pid, self._step = pid, step
            self.pulled.clear()

    def connected(self) -> None:
        self._at("connected", signal.SIGKILL)

    def received(self) -> None:
        self._at("received", signal.SIGKILL)
        with self._lock:
            if self._step == "answered":
                os.kill(self._pid, signal.SIGSTOP)  # it shall not read the answer before it dies

    def answered(self) -> None:
        self._at("answered", signal.SIGKILL)

    def _at(self, step: str, number: signal.Signals) -> None:
        with self._lock:
            if self._step == step:
                self._step = ""
                os.kill(self._pid, number)
                self.pulled.set()


@dataclass
class Tally:
    """What came of it."""

    kills: int = 0
    in_flight: int = 0  # messages that were being sent when it was killed
    runs: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    unmarked: int = 0  # extra copies that do not say so
    messages: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not any(self.lost.values()) and not self.unmarked and sum(self.extra.values()) <= self.in_flight

    def row(self, name: str) -> str:
        lost, extra = sum(self.lost.values()), sum(self.extra.values())
        verdict = "good" if self.good else "BAD"
        return (
            f"{name:<28} {self.runs:>5} {self.kills:>6} {self.in_flight:>9} "
            f"{sum(self.messages.values()):>9} {lost:>5} {extra:>6} {self.unmarked:>9}  {verdict}"
        )


HEADING = (
    f"{'killed':<28} {'runs':>5} {'kills':>6} {'in flight':>9} {'messages':>9} {'lost':>5} {'extra':>6} {'unmarked':>9}"
)


class Bench:
    """Simulator, targets and service, in a folder of their own; leaving the `with` block ends all."""

    def __init__(self, folder: Path, *, per_minute: int = 100_000) -> None:
        self._folder = folder
        self._per_minute = per_minute
        self._stack = ExitStack()
        self.slack_trigger, self.mail_trigger = Trigger(), Trigger()
        self.runs: list[str] = []
        self.tally = Tally()
        self.service: Service | None = None

    def __enter__(self) -> Self:
        authority = trustme.CA()
        bundle = self._folder / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("hooks.slack.com").configure_cert(tls)
        self.slack = HttpTarget(tls=tls, witness=self.slack_trigger)
        self._stack.callback(self.slack.stop)
        self.mail = MailTarget(witness=self.mail_trigger)
        self._stack.callback(self.mail.stop)
        for name, value in {"HTTPS_PROXY": self.slack.proxy, "REQUESTS_CA_BUNDLE": str(bundle)}.items():
            self._stack.callback(_restore, name, os.environ.get(name))
            os.environ[name] = value
        script = self._folder / "script.toml"
        script.write_text(SCRIPT)
        self.simulator = Simulator(self._folder, script=script, speed=1.0)
        self._stack.callback(self.simulator.end)
        return self

    def __exit__(self, *_: object) -> None:
        if self.service and self.service.ended() is None:
            self.service.end(signal.SIGKILL)
        self._stack.close()

    def start(self, *, wrapped_by: tuple[str, ...] = ()) -> Service:
        self.service = Service(
            self._folder,
            api=self.simulator.url,
            per_minute=1_000_000,
            interval="1s",
            wrapped_by=wrapped_by,
            extra=f"""
[[targets]]
name = "slack"
url = "slack://T12345678/B12345678/abcdefghijklmnopqrstuvwx"
max_per_minute = {self._per_minute}
[[targets]]
name = "mail"
url = "{self.mail.url()}"
max_per_minute = {self._per_minute}
""",
        )
        return self.service

    def begin(self) -> None:
        """The first start: nothing that was before it is told."""
        self.start().up()

    def fail(self, number: int) -> None:
        """So many runs fail now."""
        for _ in range(number):
            made = self.simulator.tell(
                "runs", pipelineName="finance/load.orch.yaml", status="FAILED", message="ORA-00942"
            )
            self.runs.append(made["pipelineExecutionId"])

    def kill(self) -> None:
        """Now, wherever it is."""
        assert self.service
        self.service.end(signal.SIGKILL)
        self.died()

    def died(self) -> None:
        """It was killed: count what it was sending, as its record has it."""
        assert self.service
        until(lambda: self.service and self.service.ended() is not None, what="it has died")
        self.tally.kills += 1
        self.tally.in_flight += self.leased()

    def leased(self) -> int:
        """Messages that are being sent, in the record of a service that is dead."""
        with sqlite3.connect(self._folder / "maia-exporter.db") as database:
            rows = database.execute("SELECT target, digest, id FROM delivery WHERE state = 'leased'").fetchall()
        database.close()
        return len({(target, digest or number) for target, digest, number in rows})

    def waiting(self) -> int:
        with sqlite3.connect(f"file:{self._folder / 'maia-exporter.db'}?mode=ro", uri=True) as database:
            open_ones = "SELECT count(*) FROM delivery WHERE state IN ('pending', 'leased')"
            events = "SELECT count(*) FROM event WHERE event = 'FAILED'"
            number = database.execute(open_ones).fetchone()[0] + len(self.runs) - database.execute(events).fetchone()[0]
        database.close()
        return int(number)

    def finish(self, *, timeout: float = 120.0) -> Tally:
        """Let it deliver everything, undisturbed; what came of it."""
        if not self.service or self.service.ended() is not None:
            self.start().up()
        until(lambda: self.waiting() == 0, timeout=timeout, every=0.2, what="everything is settled")
        tally = self.tally
        tally.runs = len(self.runs)
        self._count("slack", [(post.title, post.body) for post in self.slack.posts])
        self._count("mail", [(str(mail["Subject"]), mail.get_content()) for mail in self.mail.mails])
        return tally

    def _count(self, target: str, messages: list[tuple[str, str]]) -> None:
        copies: Counter[str] = Counter()
        extra = unmarked = 0
        for title, body in messages:
            ids = set(RUN_ID.findall(body))
            again = {run for run in ids if copies[run]}
            copies.update(ids)
            extra += bool(again)
            unmarked += bool(again) and "(possible repeat)" not in title
        self.tally.messages[target] = len(messages)
        self.tally.lost[target] = len(set(self.runs) - copies.keys())
        self.tally.extra[target] = extra
        self.tally.unmarked += unmarked


def killed_at(folder: Path, target: str, step: str, *, kills: int, runs: int = 3, per_minute: int = 100_000) -> Tally:
    """Killed at a step of a delivery to a target, `kills` times, with `runs` new failures each time."""
    with Bench(folder, per_minute=per_minute) as bench:
        bench.begin()
        trigger = bench.slack_trigger if target == "slack" else bench.mail_trigger
        for number in range(kills):
            if number:
                bench.start().up()
            assert bench.service
            trigger.arm(bench.service.pid, step)
            bench.fail(runs)
            assert trigger.pulled.wait(30), bench.service.text[-2000:]
            bench.died()
        return bench.finish()


def killed_at_random(folder: Path, moments: list[float], *, runs: int, per_minute: int = 100_000) -> Tally:
    """Killed so many seconds after each start, while failures keep coming."""
    never = threading.Event()
    with Bench(folder, per_minute=per_minute) as bench:
        bench.begin()
        for number, moment in enumerate(moments):
            bench.fail(runs // len(moments) + (number < runs % len(moments)))
            never.wait(moment)
            bench.kill()
            bench.start()
        return bench.finish(timeout=600)


def killed_at_write(folder: Path, write: int, *, runs: int = 3) -> Tally | None:
    """Killed as it asks for the `write`-th time that something reach the disk; None when it asks less often."""
    strace = shutil.which("strace")
    assert strace, "install Debian's strace"
    inject = f"inject=fsync,fdatasync:signal=SIGKILL:when={write}"
    with Bench(folder) as bench:
        bench.begin()
        assert bench.service
        assert bench.service.end(timeout=60) == 0
        bench.fail(runs)
        bench.start(wrapped_by=(strace, "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject))
        service = bench.service
        until(
            lambda: service.ended() is not None or bench.waiting() == 0,
            timeout=60,
            every=0.1,
            what="it is killed, or done",
        )
        if service.ended() is None:
            service.end(timeout=60)
            return None
        bench.died()
        return bench.finish()


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
