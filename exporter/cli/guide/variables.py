"""`--var` and `--grid`: what a pipeline is started with, checked before anything is asked of the API.

Must not know the API's spelling (`exporter.maia.queries`).
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Grid = tuple[tuple[str, ...], ...]


def scalars(_: click.Context, option: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """`name=value` each; an empty value is one. Raises BadParameter."""
    return dict(_pairs(option, values))


def grids(_: click.Context, option: click.Parameter, values: Iterable[str]) -> dict[str, Grid]:
    """`name=file.csv` each, read at once. Raises BadParameter."""
    return {name: _grid(option, name, Path(file)) for name, file in _pairs(option, values)}


def _pairs(option: click.Parameter, values: Iterable[str]) -> Iterator[tuple[str, str]]:
    names: set[str] = set()
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{text!r} is not {option.metavar}", param=option)
        if name in names:
            raise click.BadParameter(f"{name!r} is given twice", param=option)
        names.add(name)
        yield name, value


def _grid(option: click.Parameter, name: str, path: Path) -> Grid:
    """Every line a row, no header; all rows of one length."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, tuple(row)) for row in reader]
    except OSError as error:
        raise click.BadParameter(f"{name}: {path} cannot be read: {error.strerror}", param=option) from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{name}: {path} is not UTF-8 text; save it as UTF-8", param=option) from error
    except csv.Error as error:
        raise click.BadParameter(f"{name}: {path}, line {reader.line_num}: {error}", param=option) from error
    for line, row in rows:
        if not row:
            hint = 'remove it, or write "" for an empty cell'
            raise click.BadParameter(f"{name}: {path}, line {line} is empty; {hint}", param=option)
        if len(row) != len(rows[0][1]):
            wrong = f"line {line} has {_cells(row)}, the first row {_cells(rows[0][1])}"
            raise click.BadParameter(f"{name}: {path} is not rectangular: {wrong}", param=option)
    return tuple(row for _, row in rows)


def _cells(row: tuple[str, ...]) -> str:
    return f"{len(row)} cell" + ("" if len(row) == 1 else "s")
