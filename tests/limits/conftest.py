from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .rig import Rig


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    with ExitStack() as stack:

        def make(*rules: Any, **settings: Any) -> Rig:
            rig = Rig(tmp_path, *rules, **settings)
            stack.callback(rig.close)
            return rig

        yield make
