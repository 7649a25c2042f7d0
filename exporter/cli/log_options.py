"""`--log-level` and `--log-format`: the logging is set up before the command runs.

Must not load more than the logging: the simulator takes these options, and has nothing else of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from exporter.clock import SystemClock
from exporter.logs import configure

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def log_options(command: F) -> F:
    """Options of every command."""
    for option in (
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            expose_value=False,
            is_eager=True,
            callback=_log_format,
            help="How log lines look, on standard error.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            show_default=True,
            expose_value=False,
            callback=_log_level,
            help="The least important lines to log.",
        ),
    ):
        command = option(command)
    return command


def _log_format(ctx: click.Context, _: click.Parameter, value: str) -> str:
    ctx.meta["exporter.log_format"] = value
    return value


def _log_level(ctx: click.Context, _: click.Parameter, value: str) -> str:
    configure(level=value, form=ctx.meta.get("exporter.log_format", "text"), monotonic=SystemClock().monotonic)
    return value
