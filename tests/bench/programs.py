"""The processes that are measured beside each other: service, simulator, nginx, PostgreSQL; and what is asked of them.

Must not decide what is measured.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from e2e.processes import Process, Service, Simulator, free_port, until
from store.server import PostgreSQL, why_no_postgresql

from exporter.clock import SystemClock
from exporter.store.database import Database

from .accounts import Account, fill
from .table import MissingProgramError

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; sendfile on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port}; root {folder};
    location = /metrics {{ types {{}} default_type text/plain; add_header Content-Encoding gzip; }}
  }}
}}
"""
SCRIPT = """
history = "{history}"
requests_per_minute = {per_minute}
[[projects]]
name = "Finance"
environments = ["prod"]
[[pipelines]]
project = "Finance"
name = "ingest/finance-{{n}}.orch.yaml"
count = {pipelines}
every = "{every}"
duration = "{duration}"
outcomes = {{ SUCCESS = 95, FAILED = 5 }}
"""
UNLIMITED = 100_000_000
"""Requests a minute: the budget lifted."""

SomeProcess = TypeVar("SomeProcess", bound=Process)


@contextmanager
def a_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="maia-bench-") as folder:
        yield Path(folder)


@contextmanager
def running(process: SomeProcess) -> Iterator[SomeProcess]:
    """Ends it whatever happens."""
    try:
        yield process
    finally:
        if process.ended() is None:
            process.end()


def simulator(
    folder: Path,
    *,
    pipelines: int,
    speed: float = 0,
    history: str = "1h",
    every: str = "1h",
    duration: str = "15m",
    per_minute: int = UNLIMITED,
) -> Any:
    """A simulator of so many pipelines that are all alike; a context."""
    script = folder / "script.toml"
    script.write_text(
        SCRIPT.format(pipelines=pipelines, history=history, every=every, duration=duration, per_minute=per_minute)
    )
    return running(Simulator(folder, script=script, speed=speed))


def service(folder: Path, api: str, *, interval: str = "1s", per_minute: int = UNLIMITED, extra: str = "") -> Any:
    """The service, polling `api`, showing however many pipelines there are; a context."""
    everything = f"[metrics]\nmax_pipelines = 1000000\n{extra}"
    return running(Service(folder, api=api, interval=interval, per_minute=per_minute, extra=everything))


@contextmanager
def recorded(folder: Path, *, pipelines: int, runs: int = 0) -> Iterator[None]:
    """A folder whose record holds so many pipelines and finished runs already."""
    database = Database.open(f"sqlite:///{folder}/maia-exporter.db", exclusive=True)
    fill(database, runs, Account(pipelines, now=SystemClock().now().replace(microsecond=0)))
    database.close()
    yield


@contextmanager
def nginx(folder: Path, body: bytes) -> Iterator[int]:
    """nginx, serving these bytes of gzip at /metrics; its port."""
    program = shutil.which("nginx", path=f"/usr/sbin{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise MissingProgramError("nginx is not installed; Debian has it as nginx-light")
    port = free_port()
    (folder / "metrics").write_bytes(body)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    folder.chmod(0o755)  # nginx gives up its rights before it reads
    command = (program, "-c", folder / "nginx.conf", "-e", folder / "error.log")
    with running(Process(*command, folder=folder, name="nginx")):
        until(lambda: socket.create_connection(("127.0.0.1", port)).close() is None, what="nginx answers")
        assert Scraper(port).once() == body, (folder / "error.log").read_text()
        yield port


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a database on a throw-away server on the loopback address that brings every commit to the disk."""
    if why := why_no_postgresql():
        raise MissingProgramError(why)
    with DurablePostgreSQL() as server:
        yield server.new_database()


class DurablePostgreSQL(PostgreSQL):
    """The tests' server, but for its haste."""

    def start(self) -> None:
        self._port = free_port()
        options = f"-h 127.0.0.1 -p {self._port} -k {self._folder}"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", self._folder / "log", "-o", options)

    def new_database(self) -> str:
        self._run("createdb", "-h", "127.0.0.1", "-p", self._port, "-U", "maia", "bench")
        return f"postgresql+psycopg://maia@127.0.0.1:{self._port}/bench"


class Rate(NamedTuple):
    """What a client met: requests a second, and seconds that the slowest hundredth took at least."""

    per_second: float
    p50: float
    p99: float


class Scraper:
    """Asks a server again and again over one keep-alive connection; the least that a client can do."""

    def __init__(self, port: int, path: str = "/metrics", accept: str = "text/plain") -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(16 << 20)
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nAccept-Encoding: gzip\r\n\r\n"
        self._request = head.encode()

    def once(self) -> bytes:
        """One answer's body, compressed as it came."""
        self._connection.sendall(self._request)
        return bytes(self._receive())

    def rate(self, seconds: float) -> Rate:
        """As fast as it goes."""
        times, send, receive = [], self._connection.sendall, self._receive
        started = before = perf_counter()
        while before - started < seconds:
            send(self._request)
            receive()
            now = perf_counter()
            times.append(now - before)
            before = now
        times.sort()
        return Rate(len(times) / sum(times), times[len(times) // 2], times[len(times) * 99 // 100])

    def close(self) -> None:
        self._connection.close()

    def _receive(self) -> memoryview:
        buffer, end, got = self._buffer, -1, 0
        while (end := buffer.find(b"\r\n\r\n", 0, got)) < 0:
            got = self._more(got)
        length = re.search(rb"(?i)content-length: (\d+)", buffer[:end])
        whole = end + 4 + int(length[1]) if length else end + 4
        while got < whole:
            got = self._more(got)
        return memoryview(buffer)[end + 4 : whole]

    def _more(self, got: int) -> int:
        received = self._connection.recv_into(memoryview(self._buffer)[got:])
        if not received:
            raise ConnectionResetError("the server has closed the connection")
        return got + received


def memory_of(pid: int | str = "self") -> tuple[float, float]:
    """What the kernel says: the most memory a process ever had, and what it has now, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    most, now = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmHWM", "VmRSS"))
    assert most, now
    return int(most[1]) * 1024 / 1e6, int(now[1]) * 1024 / 1e6  # type: ignore[index]


def in_a_process_of_its_own(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` answers; its memory is nobody else's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()
