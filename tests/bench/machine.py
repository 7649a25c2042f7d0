"""Where it was measured: machine, versions, and how busy the machine was with other things."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("httpx", "prometheus-client", "sqlalchemy", "psycopg", "msgspec", "uvicorn", "starlette", "apprise")


def machine() -> list[str]:
    """A few lines about it."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    libraries = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"{platform.node()}: {os.cpu_count()} × {model[1] if model else platform.machine()},"
        f" {int(memory[1]) / 2**20 if memory else 0:.0f} GiB, {_distribution()}, Linux {platform.release()}",
        f"Python {platform.python_version()}, {libraries}",
        f"{_said('nginx', '-v')}, {_said('postgres', '-V')}",
    ]


def load() -> str:
    """How many processes wanted a processor in the last minute, and in the last five."""
    one, five, _ = os.getloadavg()
    return f"load average {one:.1f} (1 min), {five:.1f} (5 min)"


def _distribution() -> str:
    name = re.search(r'PRETTY_NAME="([^"]+)"', Path("/etc/os-release").read_text())
    return name[1] if name else "an unknown distribution"


def _said(program: str, flag: str) -> str:
    """What a program says about its version."""
    path = os.pathsep.join(
        (os.environ.get("PATH", ""), "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    )
    try:
        said = subprocess.run([program, flag], capture_output=True, text=True, check=True, env={"PATH": path})
    except (OSError, subprocess.CalledProcessError):
        return f"no {program}"
    return (said.stdout or said.stderr).strip()
