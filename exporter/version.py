"""Which build this is: its version, its commit, what it runs on. For `--version` and the build's metric.

Must not be asked per scrape: in a checkout it starts git.
"""

from __future__ import annotations

import json
import platform
import re
import sqlite3
import ssl
import subprocess
from functools import lru_cache
from importlib import metadata, resources
from pathlib import Path

from exporter import __version__

DISTRIBUTION = "maia-exporter"
UNKNOWN = "unknown"

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_GIT = ("git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40")
_GIT_SECONDS = 5.0


@lru_cache(maxsize=1)
def revision() -> str:
    """The commit that was built: as the image's build wrote it, as pip fetched it, or as a checkout's git says."""
    return _written() or _fetched() or _checked_out(Path(__file__).parents[1]) or UNKNOWN


def about() -> str:
    """Everything a bug report needs of the installation, a line a fact."""
    return "\n".join(
        (
            f"{DISTRIBUTION}, version {__version__} (revision: {revision()})",
            f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, SQLite {sqlite3.sqlite_version}",
            f"{platform.system()} {platform.release()} {platform.machine()}",
            *(f"{name} {version}" for name, version in dependencies()),
        )
    )


def dependencies() -> list[tuple[str, str]]:
    """Name and version of all that this distribution asks for, and of its PostgreSQL driver."""
    wanted = [line for line in metadata.requires(DISTRIBUTION) or () if "extra ==" not in line or "psycopg" in line]
    names = sorted({match[0] for line in wanted if (match := _NAME.match(line))})
    return [(name, _installed(name)) for name in names]


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _written() -> str:
    file = resources.files("exporter") / "revision"
    return file.read_text().strip() if file.is_file() else ""


def _fetched() -> str:
    """The commit of a `pip install git+https://…`."""
    try:
        origin = json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    return str(origin.get("vcs_info", {}).get("commit_id", ""))


def _checked_out(root: Path) -> str:
    if not (root / ".git").exists():
        return ""
    try:
        said = subprocess.run(  # noqa: S603 - a constant
            _GIT, cwd=root, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
