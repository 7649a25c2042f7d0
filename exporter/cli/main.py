"""`maia-exporter`: finds the command, loads only its module, and turns errors into exit codes.

Exit 0 done, 1 it failed while running, 2 the command line or the config is wrong.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from exporter.signals import hold

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {
    "run": ("exporter.cli.service", "run"),
    "once": ("exporter.cli.once", "once"),
    "check": ("exporter.cli.check", "check"),
    "simulate": ("exporter.cli.simulate", "simulate"),
    "demo": ("exporter.cli.demo", "demo"),
    "limits": ("exporter.cli.limits", "limits"),
    "alerts": ("exporter.cli.alerts", "alerts"),
    "silence": ("exporter.cli.silence", "silence"),
    "projects": ("exporter.cli.guide.lists", "projects"),
    "environments": ("exporter.cli.guide.lists", "environments"),
    "pipelines": ("exporter.cli.guide.lists", "pipelines"),
    "execute": ("exporter.cli.guide.execute", "execute"),
    "status": ("exporter.cli.guide.runs", "status"),
    "steps": ("exporter.cli.guide.runs", "steps"),
    "executions": ("exporter.cli.guide.executions", "executions"),
    "cancel": ("exporter.cli.guide.cancel", "cancel"),
}
"""Command -> module and object. Loading all of them would cost every call a second."""

_SERVICES = ("run", "demo")
"""They end by a signal, in their own way, also one that comes while they are still being loaded."""

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a full or failing disk behind a redirected standard output says; click itself handles a closed pipe."""

_VERSION_HELP = "Show the version, the commit, Python and what it depends on, and exit."


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{name} is no command")
        return command


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from exporter.version import about  # looks through what is installed: only where it is asked for

    click.echo(about())
    ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help=_VERSION_HELP)
def commands() -> None:
    """Watch the pipelines of a Maia account: Prometheus metrics, alerts, run-time limits, and the guide's steps."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in _SERVICES:
        hold()
    try:
        commands(args=arguments, prog_name="maia-exporter")
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        click.echo(f"Error: write the output: {error.strerror}", err=True)
        # What could not be written is still in the buffer: at exit Python would try again, and fail with code 120.
        os._exit(1)
