"""How a command of the guide ends when it does not end well: a line or two on standard error, and an exit code.

2 is click's own (`click.UsageError`), raised before anything is asked of the API.
"""

from __future__ import annotations

import click

from exporter.cli.guide.output import inert


class Failed(click.ClickException):
    """It failed: exit 1. The text may have two lines; each is inert."""

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(inert(line) for line in message.split("\n")))


class TimePassed(Failed):
    """`execute --timeout` passed before the run ended."""

    exit_code = 3


class TagTaken(Failed):
    """A run with the tag is still going: nothing was started."""

    exit_code = 4


class Interrupted(Failed):
    """Ctrl-C while waiting; the code is what shells say of a command that a SIGINT ended."""

    exit_code = 130
