"""The systemd unit: it is right, it is tight, and the service needs nothing that it forbids."""

import http.server
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from e2e.processes import EXPORTER, need, until

UNIT = Path(__file__).parents[2] / "scripts" / "maia-exporter.service"
EXPOSURE = 15
"""Tenths of systemd's scale from 0 to 10; 50 is medium."""

# What MemoryDenyWriteExecute= asks of the kernel, for the process that follows.
NO_WRITE_AND_EXECUTE = (
    "import ctypes, os, sys; assert not ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


def settings(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyse(*words):
    return subprocess.run([need("systemd-analyze"), *map(str, words)], capture_output=True, text=True, timeout=60)


def test_systemd_finds_nothing_wrong_with_it(tmp_path):
    (command,) = settings("ExecStart")
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace(command.split()[0], str(EXPORTER)))
    done = analyse("verify", here)

    assert (done.returncode, done.stderr) == (0, "")


def test_it_exposes_little():
    done = analyse("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", UNIT)

    assert done.returncode == 0, done.stdout


def allowed_calls():
    """The system calls that the unit's filter lets through."""
    allowed = set()
    for line in settings("SystemCallFilter"):
        named = set().union(*(members(group) for group in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


def members(group):
    if not group.startswith("@"):
        return {group}
    lines = analyse("syscall-filter", group).stdout.splitlines()[1:]
    names = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return set().union(*(members(name) for name in names))


@pytest.mark.e2e
def test_the_service_works_with_what_it_allows(stage, webhook):
    strace = need("strace")
    calls = stage.folder / "calls"
    simulator = stage.simulator(script="failing")
    service = stage.service(
        api=simulator.url,
        extra=f'[[targets]]\nname = "hook"\nurl = "json://127.0.0.1:{webhook.server_port}"\n',
        wrapped_by=(strace, "-f", "-qq", "-c", "-o", calls, sys.executable, "-c", NO_WRITE_AND_EXECUTE),
    )
    service.up(timeout=60)
    until(lambda: service.sample("maia_notifications_total", event="FAILED"), timeout=60, what="somebody was told")
    os.kill(int(Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text()), signal.SIGTERM)
    until(lambda: service.ended() is not None, timeout=30)

    assert service.ended() == 0
    used = {line.split()[-1] for line in calls.read_text().splitlines()[2:-2]}
    assert {"openat", "fdatasync", "sendto"} <= used
    assert used - allowed_calls() <= {"fchown"}  # SQLite's, for root alone


@pytest.fixture
def webhook():
    class Takes(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
