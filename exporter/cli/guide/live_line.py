"""One line on a terminal that is written over while a run goes, and gone at the end.

Imports rich: only `exporter.cli.guide.display` imports this, where there is a terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from exporter.cli.guide.output import inert

if TYPE_CHECKING:
    from exporter.cli.guide.display import Glimpse


def is_dumb() -> bool:
    """Whether the terminal cannot move its cursor."""
    return _console().is_dumb_terminal


class LiveLine:
    """A display for a terminal."""

    def __init__(self) -> None:
        self._console = _console()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, glimpse: Glimpse) -> None:
        """Write the line anew, cut where the terminal ends."""
        self._live.update(Text(inert(str(glimpse)), no_wrap=True, overflow="ellipsis"), refresh=True)

    def trouble(self, text: str) -> None:
        """Write a line above it that stays."""
        self._console.print(Text(inert(text)))

    def close(self) -> None:
        """Remove the line and show the cursor again."""
        self._live.stop()


def _console() -> Console:
    return Console(file=sys.stderr, highlight=False, emoji=False, markup=False)
