from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .service import EMPTY, FakeClock, Service, Simulated


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def simulate(clock: FakeClock) -> Iterator[Callable[..., Simulated]]:
    """Serve an account; without a script the empty one."""
    with ExitStack() as stack:

        def start(script: str = EMPTY, **settings: Any) -> Simulated:
            simulated = Simulated(script, clock, **settings)
            stack.callback(simulated.close)
            return simulated

        yield start


@pytest.fixture
def account(simulate: Callable[..., Simulated]) -> Simulated:
    return simulate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service on an account; keywords are tables of the config."""
    with ExitStack() as stack:

        def begin(simulated: Simulated, **tables: Any) -> Service:
            service = Service(simulated, tmp_path, **tables)
            stack.callback(service.end)
            return service

        yield begin


@pytest.fixture
def service(account: Simulated, start: Callable[..., Service]) -> Service:
    return start(account)
