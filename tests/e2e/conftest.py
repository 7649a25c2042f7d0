"""Starts what a test asks for, and ends it whatever happens."""

from contextlib import ExitStack

import pytest

from .processes import Alertmanager, Prometheus, Service, Simulator


class Stage:
    """Starts processes in the test's folder; all that still run are ended after it."""

    def __init__(self, folder, stack):
        self.folder = folder
        self._stack = stack

    def _ended_later(self, process):
        def end():
            if process.ended() is None:
                process.end()

        self._stack.callback(end)
        return process

    def simulator(self, **options):
        return self._ended_later(Simulator(self.folder, **options))

    def service(self, **options):
        return self._ended_later(Service(self.folder, **options))

    def prometheus(self, **options):
        return self._ended_later(Prometheus(self.folder, **options))

    def alertmanager(self, **options):
        return self._ended_later(Alertmanager(self.folder, **options))


@pytest.fixture
def stage(tmp_path):
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)
