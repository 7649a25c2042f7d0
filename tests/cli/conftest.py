"""The installed console script against a simulator on a socket; every wait has an end, nothing sleeps."""

from __future__ import annotations

import json
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
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=cwd, start_new_session=True
        )
        os.close(theirs)
        self.text = ""

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
        self.text += read.decode(errors="replace")
        return bool(read)


class Going:
    """A process that runs while the test does something; its streams are pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.errors = ""

    def until(self, words: str) -> str:
        """Read standard error until a line has `words`."""
        stream = self.process.stderr
        while True:
            assert select.select([stream], [], [], PATIENCE)[0], f"it says no more: {self.errors!r}"
            line = stream.readline()
            assert line, f"it ended without {words!r}: {self.errors!r}"
            self.errors += line
            if words in line:
                return line

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, self.errors + errors


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
            "PATH": os.environ["PATH"],
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
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def start(self, *words: str) -> Going:
        process = subprocess.Popen(
            [str(SCRIPT), *words],
            env=self.env,
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._stack.callback(_finish, process)
        return Going(process)

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
        answer = httpx.request(method, f"{self.served.control_url}/{path}", json=body)
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


def _finish(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=PATIENCE)


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
