"""A store that is not there yet, in a folder of its own, and processes beside this one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.store.database import Database

from .writing import NOON

TESTS = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def opened(file):
    """Opens stores, by default as the service does; closes them after the test."""
    databases = []

    def open_one(where=file, *, exclusive=True):
        databases.append(Database.open(f"sqlite:///{where}", exclusive=exclusive, now=NOON))
        return databases[-1]

    yield open_one
    for database in databases:
        database.close()


@pytest.fixture
def process(file):
    """Starts `writing` as a process of its own; what still runs at the end is killed."""
    started = []

    def start(*arguments, where=file, under=()):
        command = [*under, sys.executable, "-m", "store.faults.writing", f"sqlite:///{where}", *arguments]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=TESTS, text=True, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield start
    for child in started:
        with child:
            child.kill()


@pytest.fixture
def obedient():
    """What to start a process under so that permissions hold for it: root ignores them."""
    if os.getuid():
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        not_tested("as root, read-only folders need setpriv")
    return (setpriv, "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def strace():
    found = shutil.which("strace")
    if found is None:
        not_tested("kill -9 inside a commit needs strace")
    return found


def not_tested(why):
    """Skip loudly, and not at all where everything must be tested."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"NOT TESTED: {why}")
    pytest.skip(f"NOT TESTED: {why}")
