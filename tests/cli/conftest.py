"""The installed console script against a simulator on a socket; every wait has an end, nothing sleeps."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from e2e.processes import NO_TLS

from exporter.cli.main import commands
from exporter.simulator.reader import parse_script
from exporter.simulator.server import ServedSimulator, serve

SCRIPT = Path(sys.executable).with_name("maia-exporter")
PATIENCE = 30

ACCOUNT = """
history = "0s"

[[projects]]
name = "Payroll"
forbidden = true

[[projects]]
name = "Finance"
description = "Ledger, invoices"
environments = ["prod", "test"]
agent = "runner-1"

[[projects]]
name = "Marketing"

[[pipelines]]
project = "Finance"
name = "finance/quick.orch.yaml"
duration = "2s"
spread = 0

[[pipelines]]
project = "Finance"
environments = ["prod"]
name = "finance/slow.orch.yaml"
duration = "10h"
cancel_takes = "1s"
steps = ["Lock Positions", "Revalue"]

[[pipelines]]
project = "Finance"
environments = ["prod"]
name = "finance/reload.orch.yaml"
duration = "10h"

[[pipelines]]
project = "Finance"
environments = ["prod"]
name = "finance/month-end.orch.yaml"
duration = "90s"
spread = 0
outcomes = { FAILED = 1 }
messages = ["Duplicate row detected"]
calls = ["shared/merge.orch.yaml"]
steps = ["Start"]

[[pipelines]]
project = "Finance"
environments = ["prod"]
name = "shared/merge.orch.yaml"
steps = ["Read", "Merge Invoices"]

[[pipelines]]
project = "Finance"
environments = ["prod"]
name = "finance/closed.orch.yaml"
disabled = true

[[pipelines]]
project = "Finance"
environments = ["prod"]
name = "finance/deaf.orch.yaml"
duration = "10h"
cancel = "deaf"

[[pipelines]]
project = "Marketing"
name = "campaigns/refresh.orch.yaml"
"""


class Terminal:
    """A process whose standard streams are a pseudo-terminal of 100 columns."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        # The first terminal that a new session opens is its own: only so does a typed Ctrl-C arrive.
        opening = ["sh", "-c", 'exec <"$0" >"$0" 2>&1; echo open; exec "$@"', os.ttyname(theirs), *command]
        self.process = subprocess.Popen(
            opening,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
        self._read_so_far = b""
        self.until("open\r\n")
        os.close(theirs)
        self._read_so_far = b""

    @property
    def text(self) -> str:
        return self._read_so_far.decode(errors="replace")

    def until(self, words: str) -> str:
        """Read until the screen has seen `words`; all that was written so far."""
        while words not in self.text:
            assert self._read(), f"it ended without {words!r}: {self.text!r}"
        return self.text

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ended(self) -> tuple[int, str]:
        """Its exit code and all that it wrote."""
        while self._read():
            pass
        return self.process.wait(PATIENCE), self.text

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._ours)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], PATIENCE)
        assert ready, f"it says no more: {self.text!r}"
        try:
            read = os.read(self._ours, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            return False
        self._read_so_far += read
        return bool(read)


class Going:
    """A process that runs while the test does something; its streams are pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._errors = b""

    def until(self, words: str) -> str:
        """Read standard error until it has `words`; all of it so far."""
        stream = self.process.stderr
        while words.encode() not in self._errors:
            assert select.select([stream], [], [], PATIENCE)[0], f"it says no more: {self._errors!r}"
            read = os.read(stream.fileno(), 65536)
            assert read, f"it ended without {words!r}: {self._errors!r}"
            self._errors += read
        return self._errors.decode()

    def answer(self, text: str) -> None:
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> tuple[int, str, str]:
        """Exit code, standard output, standard error; its standard input stays open until then."""
        ends = {stream: b"" for stream in (self.process.stdout, self.process.stderr) if stream}
        waiting = set(ends)
        while waiting:
            ready, _, _ = select.select(waiting, [], [], PATIENCE)
            assert ready, f"it says no more: {ends!r}"
            for stream in ready:
                read = os.read(stream.fileno(), 65536)
                ends[stream] += read
                if not read:
                    waiting.discard(stream)
        code = self.process.wait(PATIENCE)
        output = ends.get(self.process.stdout, b"").decode()
        return code, output, (self._errors + ends.get(self.process.stderr, b"")).decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE)


class Overheard:
    """Middleware that keeps the bodies of what the API is asked to do."""

    def __init__(self, app: Any, bodies: list[Any]) -> None:
        self._app, self._bodies = app, bodies

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def overheard() -> Any:
            message = await receive()
            if scope["path"].startswith("/dpc") and message.get("body"):
                self._bodies.append(json.loads(message["body"]))
            return message

        await self._app(scope, overheard, send)


class Account:
    """A simulated account and our commands in it, run as people run them."""

    def __init__(self, served: ServedSimulator, folder: Path, stack: ExitStack) -> None:
        self.served = served
        self.folder = folder
        self.bodies: list[Any] = []
        served.app.add_middleware(Overheard, bodies=self.bodies)
        self._stack = stack
        self.env = {
            "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "COLUMNS": "100",
            "MAIA_CLIENT_ID": "demo",
            "MAIA_CLIENT_SECRET": "demo",
            "MAIA_API_URL": served.api_url,
            "MAIA_TOKEN_URL": served.token_url,
        }

    def __call__(self, *words: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
        """`maia-exporter WORDS…` to its end; nobody answers its questions unless `input` does."""
        more = {"stdin": subprocess.DEVNULL} | more if "input" not in more else more
        return subprocess.run(
            [str(SCRIPT), *words],
            env=self.env | (env or {}),
            cwd=self.folder,
            timeout=PATIENCE,
            text=True,
            capture_output=True,
            **more,
        )

    def inside(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The same in this process, for tables of many rows: a process of its own costs half a second."""
        root = logging.getLogger()
        loggers = [root, *(each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger))]
        handlers, levels = root.handlers[:], {each: each.level for each in loggers}
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(commands, words, env=self.env | (env or {}), prog_name="maia-exporter")
        root.handlers[:] = handlers
        for each, level in levels.items():
            each.setLevel(level)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)

    def start(self, *words: str, stdin: int = subprocess.DEVNULL) -> Going:
        process = subprocess.Popen(
            [str(SCRIPT), *words],
            env=self.env,
            cwd=self.folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        going = Going(process)
        self._stack.callback(going.close)
        return going

    def terminal(self, *words: str) -> Terminal:
        terminal = Terminal([str(SCRIPT), *words], self.env, self.folder)
        self._stack.callback(terminal.close)
        return terminal

    def json(self, *words: str) -> list[dict[str, Any]]:
        """The array that `--json` prints."""
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        array = json.loads(done.stdout)
        assert isinstance(array, list)
        return array

    def control(self, path: str, body: Any = None, *, method: str = "") -> Any:
        """What the simulator's control endpoint answers."""
        method = method or ("GET" if body is None else "POST")
        answer = httpx.request(method, f"{self.served.control_url}/{path}", json=body, verify=NO_TLS)
        assert answer.is_success, answer.text
        return answer.json()

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """What the API was asked, tokens left out."""
        asked = [each for each in self.control("log")["requests"] if "/oauth/" not in each["path"]]
        return [each for each in asked if method in each["method"] and path in each["path"]]

    def project_id(self, name: str) -> str:
        return next(each["id"] for each in self.control("truth?runs=0")["projects"] if each["name"] == name)

    def made_up(self, pipeline: str = "finance/slow.orch.yaml", **fields: Any) -> str:
        """The id of a run that the test makes up."""
        return self.control("runs", {"pipelineName": pipeline, **fields})["pipelineExecutionId"]

    def truth(self, run_id: str) -> dict[str, Any]:
        return self.control(f"runs/{run_id}")


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Account]]:
    """Makes accounts: from the text of a script, or by the name of one; `speed` as the simulator takes it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:

        def make(script: str = ACCOUNT, *, speed: float = 1) -> Account:
            text = parse_script(script, source="test.toml") if "\n" in script else script
            return Account(stack.enter_context(serve(text, speed=speed)), tmp_path, stack)

        yield make


@pytest.fixture
def maia(accounts: Callable[..., Account]) -> Account:
    """An account in which nothing runs until somebody starts it."""
    return accounts()
