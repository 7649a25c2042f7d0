"""What people write on the command line of the guide's commands, checked before anything is asked of the API.

Must not ask anything of the API: what is wrong here ends with exit code 2.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from exporter.cli.guide.output import Form
from exporter.core.durations import DurationError, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_id(text: str) -> bool:
    """Whether a text is an id as Maia writes them: a UUID."""
    return _UUID.fullmatch(text.lower()) is not None


def run_id(text: str) -> str:
    """A run's id, in lower case. Raises BadParameter."""
    if not is_id(text):
        raise click.BadParameter(f"{text!r} is not an id such as 4f2d1c3a-0b5e-4d6f-8a7b-9c0d1e2f3a4b")
    return text.lower()


def runner_id(text: str) -> str:
    """A runner's id, as `environments` shows it. Raises BadParameter."""
    return run_id(text)


def name(text: str) -> str:
    """A name that is not empty: an unset shell variable must not widen or weaken what was meant."""
    if not text.strip():
        raise click.BadParameter("it is empty")
    return text


def duration(text: str) -> timedelta:
    """A duration such as `90s` or `2h`. Raises BadParameter."""
    try:
        return parse_duration(text)
    except DurationError as error:
        raise click.BadParameter(f"{text!r} {error}") from error


def instant(text: str) -> datetime | timedelta:
    """An instant (ISO 8601, in UTC unless it says otherwise), or a duration: that long ago. Raises BadParameter."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return parse_duration(text)
    except DurationError as error:
        hint = 'neither an instant such as "2026-01-31T12:00:00Z" nor a duration such as "2h"'
        raise click.BadParameter(f"{text!r} is {hint}") from error


def form_options(command: F) -> F:
    """`--json` and `--plain`, as `form`; the last one counts."""
    plain = click.option(
        "--plain", "form", flag_value=Form.PLAIN, type=click.UNPROCESSED, help="One name or id a line, nothing else."
    )
    whole = click.option(
        "--json",
        "form",
        flag_value=Form.JSON,
        type=click.UNPROCESSED,
        default=Form.TEXT,
        help="One array, in the API's own field names.",
    )
    return whole(plain(command))


def run_options(command: F) -> F:
    """`--project`, for commands that are given a run's id."""
    return click.option(
        "--project",
        "project_name",
        type=name,
        metavar="PROJECT",
        help="The run's project, by name or id: saves the search.",
    )(command)
