"""Draws a table on a terminal.

Imports rich: only `exporter.cli.guide.output` imports this, where there is a terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

_NARROWEST_PROSE = 20
_BETWEEN = 3


def drawn(cells: Sequence[Sequence[str]], *, prose: bool) -> bool:
    """Draw the rows, the first as the heading, if the terminal is wide enough; says whether it was.

    Only the last column is folded, where it is `prose`: the others hold names and ids that people copy.
    """
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if prose:
        widths[-1] = min(widths[-1], _NARROWEST_PROSE)
    if sum(widths) + _BETWEEN * (len(widths) - 1) > console.width:
        return False
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for number, column in enumerate(cells[0], 1):
        table.add_column(Text(column), no_wrap=not prose or number < len(cells[0]), overflow="fold")
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    console.print(table)
    return True
