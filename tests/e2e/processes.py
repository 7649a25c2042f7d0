"""Real processes for the end-to-end tests, each on a free port: simulator, service, Prometheus."""

import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

EXPORTER = Path(sys.executable).with_name("maia-exporter")

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain http: a client that loads the machine's authorities takes 30 ms of a core, and tests ask all the time."""

_never = threading.Event()


def until(condition: Callable[[], Any], *, timeout: float = 60.0, every: float = 0.05, what: str = "") -> Any:
    """What `condition` answers as soon as that is true; looks `every` so many seconds."""
    for _ in range(int(timeout / every)):
        try:
            found = condition()
        except (httpx.HTTPError, OSError):
            found = None
        if found:
            return found
        _never.wait(every)
    raise AssertionError(f"not within {timeout} s: {what or condition}")


def free_port() -> int:
    """A port that nobody listens on, another one each time.

    Below those that the system gives to clients: one of these could be gone before a program that takes a second to
    start has bound it. Each worker has a range of its own.
    """
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("an endless range has ended")


def _own_ports() -> Iterator[int]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw9").removeprefix("gw")
    first, number = 11_000 + 2_000 * (int(worker) % 10), 2_000
    begin = os.getpid() * 37 % number  # another run on this machine begins elsewhere
    return (first + (begin + step) % number for step in itertools.count())


_PORTS = _own_ports()


def need(program: str) -> str:
    """The path of a Debian program; without it the test is skipped, and in CI it fails."""
    found = shutil.which(program)
    if found is None:
        message = f"{program} is not installed; scripts/test installs it where root and apt are there"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


class Process:
    """A program with its output in a file."""

    def __init__(self, *command: str | Path, folder: Path, name: str, env: dict[str, str] | None = None) -> None:
        self.log = folder / f"{name}.log"
        self.command = [str(word) for word in command]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def ended(self) -> int | None:
        return self._process.poll()

    def end(self, number: int = signal.SIGTERM, *, timeout: float = 12.0) -> int:
        """Send a signal and wait; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
            raise


class Simulator(Process):
    """`maia-exporter simulate`, and its control endpoint."""

    def __init__(self, folder: Path, *, script: str | Path = "calm", speed: float = 60.0, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = ("simulate", "--listen", f"127.0.0.1:{self.port}", "--script", script, "--speed", str(speed))
        super().__init__(EXPORTER, *command, folder=folder, name="simulator")
        self._http = httpx.Client(base_url=f"{self.url}/control", timeout=30, trust_env=False, verify=NO_TLS)
        until(lambda: self._http.get("/truth?runs=0").status_code == 200, what="the simulator answers")

    def truth(self, **only: Any) -> dict[str, Any]:
        """Everything true now, with all runs in one list; `only` some of it (runs=0: without them)."""
        truth = self._http.get("/truth", params=only).json()
        truth["runs"] = [run for pipeline in truth["pipelines"] for run in pipeline.get("runs", ())]
        return truth

    def tell(self, endpoint: str, /, **what: Any) -> Any:
        answer = self._http.post(f"/{endpoint}", json=what)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def fault(self, kind: str, /, **what: Any) -> None:
        self.tell("faults", kind=kind, **what)

    def struck(self) -> bool:
        """Whether every fault has hit at least once."""
        return all(fault["hits"] for fault in self._http.get("/faults").json()["faults"])

    def calm_down(self, fault: int | None = None) -> None:
        """No fault any more, or not that one."""
        self._http.delete("/faults" if fault is None else f"/faults/{fault}")

    def end_run(self, run_id: str) -> None:
        """Now, with success, unless it has ended."""
        self._http.post(f"/runs/{run_id}/end", json={})

    def log_of_requests(self, **only: Any) -> list[dict[str, Any]]:
        answer = self._http.get("/log", params=only).json()
        return answer["requests"] if isinstance(answer, dict) else answer

    def end(self, number: int = signal.SIGTERM, *, timeout: float = 12.0) -> int:
        self._http.close()
        return super().end(number, timeout=timeout)


class Service(Process):
    """`maia-exporter run` on a simulator; started again on the same port and record as often as a test likes."""

    def __init__(
        self,
        folder: Path,
        *,
        api: str,
        port: int = 0,
        extra: str = "",
        poll: str = "",
        secret: str = "demo",
        per_minute: int = 6000,
        patience: str = "20s",
        interval: str = "1s",
        flags: tuple[str, ...] = (),
        wrapped_by: tuple[str, ...] = (),
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.toml"
        self.config.write_text(
            f"""
[maia]
api_url = "{api}/dpc"
token_url = "{api}/oauth/dpc/token"
client_id = "demo"
client_secret = "{secret}"
requests_per_minute = {per_minute}
request_timeout = "{patience}"
[poll]
interval = "{interval}"
{poll}
[web]
listen = "127.0.0.1:{self.port}"
{extra}
"""
        )
        command = (*wrapped_by, EXPORTER, "run", "--config", self.config, *flags)
        super().__init__(*command, folder=folder, name="service")

    def get(self, path: str, **headers: str) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=10, verify=NO_TLS) as client:
            return client.get(self.url + path, headers=headers)

    def ready(self, *, timeout: float = 60.0) -> None:
        until(lambda: self.get("/-/ready").status_code == 200, timeout=timeout, what="the service is ready")

    def samples(self, name: str, **labels: str) -> list[float]:
        """All samples of the page with this name and these labels."""
        found = []
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(name) and line[len(name)] in "{ ":
                shown, _, value = line.rpartition(" ")
                if all(f'{label}="{text}"' in shown for label, text in labels.items()):
                    found.append(float(value))
        return found

    def sample(self, name: str, **labels: str) -> float | None:
        """The one sample with this name and these labels, None where there is none."""
        found = self.samples(name, **labels)
        assert len(found) < 2, f"{name} {labels}: {len(found)} samples"
        return found[0] if found else None

    def up(self, *, timeout: float = 60.0) -> None:
        until(lambda: self.sample("maia_up") == 1, timeout=timeout, what="the service is up")


class Prometheus(Process):
    """Debian's Prometheus, scraping one target once a second, or doing `jobs`; it evaluates rules as often."""

    def __init__(
        self,
        folder: Path,
        *,
        target: str = "",
        jobs: tuple[dict[str, Any], ...] = (),
        rules: Path | None = None,
        alertmanager: str = "",
    ) -> None:
        self.port = free_port()
        alertmanagers = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
        config = folder / "prometheus.yml"
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(rules)] if rules else [],
                    "alerting": {"alertmanagers": alertmanagers},
                    "scrape_configs": jobs or [{"job_name": "maia", "static_configs": [{"targets": [target]}]}],
                }
            )
        )
        super().__init__(
            need("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
            folder=folder,
            name="prometheus",
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=10, verify=NO_TLS)
        until(lambda: self._http.get("/-/ready").status_code == 200, timeout=60, what="Prometheus is ready")

    def query(self, promql: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The instant answer: labels (without job and instance) -> value."""
        answer = self._http.get("/api/v1/query", params={"query": promql}).json()
        assert answer["status"] == "success", answer
        return {
            tuple(sorted((k, v) for k, v in row["metric"].items() if k not in ("job", "instance", "__name__"))): float(
                row["value"][1]
            )
            for row in answer["data"]["result"]
        }

    def end(self, number: int = signal.SIGTERM, *, timeout: float = 12.0) -> int:
        self._http.close()
        return super().end(number, timeout=timeout)


class Alertmanager(Process):
    """Debian's Alertmanager, alone, with a config of the test's."""

    def __init__(self, folder: Path, *, config: dict[str, Any]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        file = folder / "alertmanager.yml"
        file.write_text(json.dumps(config))
        super().__init__(
            need("prometheus-alertmanager"),
            f"--config.file={file}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
            folder=folder,
            name="alertmanager",
        )
        ready = f"http://{self.address}/-/ready"
        until(lambda: httpx.get(ready, trust_env=False).status_code == 200, what="Alertmanager is ready")
