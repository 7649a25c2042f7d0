"""A throw-away PostgreSQL for the tests: its own folder, a Unix socket, nothing on the network."""

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")
_UNPRIVILEGED = "nobody"  # the server refuses to run as root


def why_no_postgresql():
    """What is missing, or ""."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed: nothing was tested on PostgreSQL"
    return "" if _programs() else "no PostgreSQL server is installed: nothing was tested on it"


class PostgreSQL:
    """Runs from `with` to its end."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="maia-store-"))
        self._data = self._folder / "data"
        self._numbers = itertools.count(1)
        self._user = _user()

    def __enter__(self):
        if self._user:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-D", self._data, "-U", "maia", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self._folder)

    def start(self):
        """Run it, and wait until it answers."""
        options = f"-h '' -k {self._folder} -F"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", self._folder / "log", "-o", options)

    def stop(self):
        """End it, with every connection."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self._data)

    def restart(self):
        """Break every connection."""
        self.stop()
        self.start()

    def new_database(self):
        """Make an empty one; its URL."""
        name = f"store{next(self._numbers)}"
        self._run("createdb", "-h", self._folder, "-U", "maia", name)
        return f"postgresql+psycopg://maia:secret@/{name}?host={self._folder}"

    def _run(self, program, *arguments):
        subprocess.run(
            [_programs() / program, *map(str, arguments)],
            user=self._user,
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


def _programs():
    """The newest server's folder, or None."""
    return max(_DEBIAN.glob("*/bin"), default=None, key=lambda folder: int(folder.parent.name))


def _user():
    return pwd.getpwnam(_UNPRIVILEGED).pw_uid if os.geteuid() == 0 else None
