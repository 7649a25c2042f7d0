"""The stack without a container engine: simulator, exporter, Prometheus, Alertmanager as processes of this machine.

Run by `scripts/stack`. The same files as in `compose.yaml`, on the usual ports or, where one is taken, on free ones.
Grafana is in no distribution: point yours at the Prometheus it prints.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
EXPORTER = Path(sys.executable).with_name("maia-exporter")
ATTEMPTS, PAUSE = 300, 0.2
GRACE = 12.0

never = threading.Event()


@dataclass
class Part:
    """One program, its log, and the address at which it says that it is ready."""

    name: str
    command: list[str]
    ready: str
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, folder: Path) -> None:
        """Start it in a group of its own: Ctrl-C is ours, and they end in order."""
        self.log = folder / f"{self.name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process is not None and self.process.poll() is None

    def wait(self) -> None:
        """Wait until it is ready. SystemExit when it ends instead."""
        for _ in range(ATTEMPTS):
            if not self.alive or _answers(self.ready):
                break
            never.wait(PAUSE)
        if not self.alive or not _answers(self.ready):
            sys.exit(f"{self.name} does not start; its log says:\n{self.last_words}")

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def end(self) -> None:
        """Ask it to end, and see that it does."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Ports:
    """Where each listens on this machine."""

    simulator: int
    exporter: int
    prometheus: int
    alertmanager: int

    @classmethod
    def found(cls) -> Ports:
        """The usual ones, and free ones where somebody else listens."""
        return cls(*(_port(usual) for usual in (9987, 9986, 9090, 9093)))


def parts(folder: Path, ports: Ports) -> list[Part]:
    """Everything, in the order in which it starts."""
    api, page = f"http://127.0.0.1:{ports.simulator}", f"http://localhost:{ports.exporter}"
    _put(folder, "rules.yml", {"http://localhost:9986": page})
    _put(
        folder,
        "prometheus.yml",
        {"localhost:9986": f"localhost:{ports.exporter}", "localhost:9093": f"localhost:{ports.alertmanager}"},
    )
    listen = f"127.0.0.1:{ports.simulator}"
    return [
        Part(
            "simulator", [f"{EXPORTER}", "simulate", "--listen", listen, "--speed", "60"], f"{api}/control/truth?runs=0"
        ),
        Part(
            "exporter",
            [f"{EXPORTER}", "run", "--config", f"{HERE / 'exporter.toml'}"],
            f"{page}/-/ready",
            {
                "MAIA_API_URL": f"{api}/dpc",
                "MAIA_TOKEN_URL": f"{api}/oauth/dpc/token",
                "MAIA_LISTEN": f"127.0.0.1:{ports.exporter}",
                "MAIA_PAGE": page,
                "MAIA_STORE": f"sqlite:///{folder / 'maia-exporter.db'}",
            },
        ),
        Part(
            "alertmanager",
            [
                _program("prometheus-alertmanager"),
                f"--config.file={HERE / 'prometheus' / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{ports.alertmanager}",
                "--cluster.listen-address=",
            ],
            f"http://127.0.0.1:{ports.alertmanager}/-/ready",
        ),
        Part(
            "prometheus",
            [
                _program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{ports.prometheus}",
            ],
            f"http://127.0.0.1:{ports.prometheus}/-/ready",
        ),
    ]


def main() -> int:
    """Start everything, say where it is, and end it on Ctrl-C; the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maia-stack-")))
        ports = Ports.found()
        try:
            everything = parts(folder, ports)
            for part in everything:
                stack.callback(part.end)
                part.start(folder)
                part.wait()
            print(_where(ports, folder), flush=True)
            while all(part.alive for part in everything):
                never.wait(0.5)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would leave some of them behind
            print("\nThe stack ends.", flush=True)
            return 0
        for part in everything:
            if not part.alive:
                print(f"{part.name} has ended by itself; its log says:\n{part.last_words}", file=sys.stderr)
        return 1


def _where(ports: Ports, folder: Path) -> str:
    return f"""
  page          http://localhost:{ports.exporter}/
  prometheus    http://localhost:{ports.prometheus}/alerts
  alertmanager  http://localhost:{ports.alertmanager}/
  simulator     http://localhost:{ports.simulator}/control/truth

  Grafana: add http://localhost:{ports.prometheus} as a data source and import grafana/dashboards/*.json.
  Logs are in {folder}, which is removed at the end. An hour of the account passes in a minute. Ctrl-C ends it.
"""


def _put(folder: Path, name: str, changes: dict[str, str]) -> None:
    """Copy one of Prometheus's files with other addresses."""
    text = (HERE / "prometheus" / name).read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / name).write_text(text)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} is not installed; on Debian: sudo apt-get install prometheus prometheus-alertmanager")
    return found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _port(usual: int) -> int:
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("port 0 is never taken")


if __name__ == "__main__":
    sys.exit(main())
