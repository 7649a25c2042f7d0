"""A store for each test, on SQLite and, where it is installed with its driver, on PostgreSQL."""

import shutil

import pytest

from exporter.store.database import Database

from .server import PostgreSQL, why_no_postgresql
from .values import NOON


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory):
    """A SQLite store with a schema and nothing in it: making one takes a third of a second."""
    file = tmp_path_factory.mktemp("empty") / "empty.db"
    Database.open(f"sqlite:///{file}", exclusive=True).close()
    return file


@pytest.fixture(scope="session")
def server():
    with PostgreSQL() as running:
        yield running


@pytest.fixture
def file(empty_file, tmp_path):
    """The path of an empty store that is closed."""
    return shutil.copyfile(empty_file, tmp_path / "store.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """A store of either kind, empty and closed."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('file')}"
    if missing := why_no_postgresql():
        pytest.skip(missing)
    return request.getfixturevalue("server").new_database()


@pytest.fixture
def database(url):
    opened = Database.open(url, exclusive=True, now=NOON)
    yield opened
    opened.close()
