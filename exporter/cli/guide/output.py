"""How the guide's commands show things: a table on a terminal, aligned text elsewhere, JSON, or one word a line.

Results go to standard output, everything else to standard error. What the API says moves no cursor, switches no
direction and is no markup. Must not know what is shown.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import TextIO

_GAP = "  "


class Form(StrEnum):
    """How a result is written."""

    TEXT = "text"  # for people
    JSON = "json"  # one array, in the API's own field names
    PLAIN = "plain"  # one name or id a line, for shell loops


def show(
    form: Form,
    *,
    columns: Sequence[str],
    rows: Callable[[], Iterable[Sequence[str]]],
    records: Iterable[Mapping[str, Any]],
    plain: Iterable[str],
    prose: bool = False,
) -> None:
    """Write one list to standard output; `rows` is called for text only, `prose` says that the last column is that."""
    match form:
        case Form.JSON:
            show_json(records)
        case Form.PLAIN:
            for word in plain:
                click.echo(inert(word))
        case Form.TEXT:
            show_table(columns, rows(), prose=prose)


def show_json(records: Iterable[Mapping[str, Any]]) -> None:
    """Write one array; characters that a terminal would act on are written as JSON's own escapes."""
    text = json.dumps([dict(record) for record in records], indent=2, ensure_ascii=False)
    click.echo("".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in text))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, prose: bool = False) -> None:
    """Write a table with a heading: drawn on a terminal that is wide enough, else aligned with spaces and never cut."""
    cells = [[column.upper() for column in columns], *([inert(cell) for cell in row] for row in rows)]
    if is_terminal(sys.stdout):
        from exporter.cli.guide.drawing import drawn  # rich costs 70 ms, and only a terminal needs it

        if drawn(cells, prose=prose):
            return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        click.echo(_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Write one thing, a fact a line; facts without a value are left out."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        if value:
            click.echo(f"{name.ljust(width)}{_GAP}{inert(value)}")


def note(text: str) -> None:
    """Say something beside the result, on standard error; each of its lines is inert."""
    click.echo("\n".join(inert(line) for line in text.split("\n")), err=True)


def inert(text: str) -> str:
    """`text` on one line, with whatever a terminal would act on (control characters, bidi marks) shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def instant_for_people(at: datetime | None) -> str:
    """`2026-01-31 12:00:00Z`; "" for None."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%SZ}"


def instant_for_programs(at: datetime | None) -> str | None:
    """As the API writes them: `2026-01-31T12:00:00.5Z`; None for None."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at it."""
    return stream is not None and stream.isatty()


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]
