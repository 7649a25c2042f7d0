"""The tables that say who is told what: [alerts], [[targets]], [[routes]], [[expectations]].

Must not import Apprise: whether it can load a target's URL is for its channel to say.
"""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from exporter.config.addresses import heartbeat_address
from exporter.config.errors import BadValueError, quoted
from exporter.config.matchers import Matchers, RunMatchers
from exporter.config.section import Section
from exporter.config.values import (
    Duration,
    DurationOrZero,
    Flag,
    Name,
    NeededSecret,
    Secret,
    Text,
    Whole,
    known,
    some_entries,
)

EVENTS = (
    "FAILED",
    "FORBIDDEN",
    "CANCELLED",
    "SKIPPED",
    "RECOVERED",
    "OVERDUE",
    "OVER_LIMIT",
    "CANCEL",
    "VANISHED",
    "EXPORTER",
)
"""What people can be told about, in the spelling of `events`."""

EXPORTER = "EXPORTER"
"""The one event that is about us and no run: it goes to every route that lists it, whatever the matchers."""


class AlertSettings(Section):
    """[alerts]: what holds for every message."""

    timezone: Text = "UTC"
    max_age: Duration = timedelta(days=7)
    exporter_after: Duration = timedelta(minutes=5)
    heartbeat_url: Secret = SecretStr("")

    @field_validator("timezone")
    @classmethod
    def _has_an_iana_name(cls, value: str) -> str:
        _zone(value)
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _can_be_fetched(cls, value: SecretStr) -> SecretStr:
        heartbeat_address(value.get_secret_value())
        return value

    @property
    def zone(self) -> tzinfo:
        """The zone in which messages state times."""
        return _zone(self.timezone)


class Target(Section):
    """One of [[targets]]: someone to tell."""

    name: Name = Field(examples=['name = "data-oncall"'])
    url: NeededSecret = Field(examples=['url = "${SLACK_URL}", or url_file'])
    max_per_minute: Whole = 20


class RouteMatchers(RunMatchers):
    """Which events a route takes."""

    events: Annotated[tuple[Annotated[str, known(*EVENTS)], ...], BeforeValidator(some_entries)] = (
        "FAILED",
        "FORBIDDEN",
        "RECOVERED",
        "OVERDUE",
        "OVER_LIMIT",
        "CANCEL",
        "VANISHED",
        "EXPORTER",
    )
    continue_: Flag = Field(default=False, alias="continue")

    @property
    def needs_runs(self) -> bool:
        """False for a route that is about the exporter alone."""
        return set(self.events) != {EXPORTER}

    def hides(self, later: Matchers) -> bool:
        """Whether a `later` route never gets a turn for any event about a run."""
        return (
            not self.continue_
            and isinstance(later, RouteMatchers)
            and set(later.events) - {EXPORTER} <= set(self.events)
            and super().hides(later)
        )


class Route(RouteMatchers):
    """One of [[routes]]: which events go to which targets; the first match wins unless it continues."""

    targets: Annotated[tuple[Text, ...], BeforeValidator(some_entries)] = Field(examples=['targets = ["data-oncall"]'])
    notify: Annotated[Literal["every", "change"], known("every", "change")] = "every"
    remind_every: DurationOrZero = timedelta(0)


class Expectation(Matchers):
    """One of [[expectations]]: a pipeline that must succeed this often; the first match wins."""

    success_within: Duration = Field(examples=['success_within = "26h"'])


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # also where the machine has no time zone database
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, outside the database, a folder of it
        raise BadValueError(f"{quoted(name)} is no time zone", 'write an IANA name, such as "Europe/Berlin"') from None
