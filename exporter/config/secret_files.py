"""Which files a config names for its secrets, right or wrong as it may otherwise be.

Must not read them, nor say what is wrong: reading the config does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tomli

from exporter.config.errors import BadValueError
from exporter.config.expand import expand
from exporter.config.load import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def secret_files(text: str, *, env: Mapping[str, str], folder: Path) -> tuple[Path, ...]:
    """The paths that `…_file` keys of secrets name; relative ones start at `folder`."""
    try:
        tables = tomli.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(folder / name for name in _names(tables, env) if name)


def _names(tables: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[str]:
    for name, model in TABLES.items():
        rows = tables.get(name, [])
        for row in rows if isinstance(rows, list) else [rows]:
            for key in model.secret_keys():
                value = row.get(f"{key}_file") if isinstance(row, Mapping) else None
                if isinstance(value, str):
                    try:
                        yield str(expand(value, env))
                    except BadValueError:
                        continue
