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


class IdType(click.ParamType):
    """A UUID, in lower case."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id."""
        if not is_id(value):
            self.fail(f"{value!r} is not an id such as 4f2d1c3a-0b5e-4d6f-8a7b-9c0d1e2f3a4b", param, ctx)
        return value.lower()


class NameType(click.ParamType):
    """A name that is not empty: an unset shell variable must not widen or weaken what was meant."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it was written."""
        if not value.strip():
            self.fail("it is empty", param, ctx)
        return value


class DurationType(click.ParamType):
    """A duration such as `90s` or `2h`."""

    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except DurationError as error:
            self.fail(f"{value!r} {error}", param, ctx)


class InstantType(click.ParamType):
    """An instant (ISO 8601, in UTC unless it says otherwise), or a duration: that long ago."""

    name = "instant"

    def convert(
        self, value: str | datetime | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta:
        """An aware instant, or how long ago."""
        if not isinstance(value, str):
            return value
        try:
            at = datetime.fromisoformat(value)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        try:
            return parse_duration(value)
        except DurationError:
            hint = 'neither an instant such as "2026-01-31T12:00:00Z" nor a duration such as "2h"'
            self.fail(f"{value!r} is {hint}", param, ctx)


ID = IdType()
NAME = NameType()
DURATION = DurationType()
INSTANT = InstantType()


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
        type=NAME,
        default="",
        metavar="PROJECT",
        help="The run's project, by name or id: saves the search.",
    )(command)
