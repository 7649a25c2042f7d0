from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from store.conftest import empty_file, file, server, url  # noqa: F401 - fixtures

from .rig import Rig


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    with ExitStack() as stack:

        def make(*rules: Any, **settings: Any) -> Rig:
            rig = Rig(tmp_path, *rules, **settings)
            stack.callback(rig.close)
            return rig

        yield make


@pytest.fixture
def rigs_on_both(url: str, rigs: Callable[..., Rig]) -> Callable[..., Rig]:  # noqa: F811 - the fixture
    """The same, on SQLite and on PostgreSQL."""
    return partial(rigs, url=url)
