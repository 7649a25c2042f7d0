"""One service for the tests that do not harm it."""

import pytest

from .serving import Service


@pytest.fixture(scope="session")
def shared():
    with Service() as service:
        yield service


@pytest.fixture
def service():
    with Service() as service:
        yield service
