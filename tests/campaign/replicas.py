"""Whether this version takes a database that several services share: the command itself is asked."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from e2e.processes import EXPORTER
from store.server import why_no_postgresql

_CONFIG = """
[maia]
api_url = "http://127.0.0.1:1/dpc"
token_url = "http://127.0.0.1:1/oauth/dpc/token"
client_id = "demo"
client_secret = "demo"
[store]
url = "postgresql+psycopg://maia@localhost/maia"
"""


def why_no_replicas() -> str:
    """What is missing, or ""."""
    if missing := why_no_postgresql():
        return missing
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(_CONFIG)
        checked = subprocess.run([EXPORTER, "check", "--config", config], capture_output=True, text=True)
    return "" if checked.returncode == 0 else f"this version does not take PostgreSQL: {checked.stderr.strip()}"
