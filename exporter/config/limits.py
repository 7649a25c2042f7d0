"""The tables that say how long a run may take: [cancel], [[limits]].

Must not decide about a run: this only says which limits can be meant.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from exporter.config.errors import BadValueError
from exporter.config.matchers import RunMatchers, TriggerGlobs
from exporter.config.section import BROKEN, Section
from exporter.config.values import Duration, DurationOrNone, Flag, Name, Whole, known
from exporter.core.durations import duration_literal
from exporter.core.globs import is_everything
from exporter.core.model import Trigger

SHORTEST = timedelta(minutes=5)
"""A limit's duration below this is probably a mistaken unit, unless `allow_short` says otherwise."""


class CancelSettings(Section):
    """[cancel]: the circuit breaker of all limits together."""

    max_per_hour: Whole = 5


class LimitMatchers(RunMatchers):
    """Which runs a limit is about."""

    triggers: TriggerGlobs = (Trigger.API.value, Trigger.SCHEDULE.value, Trigger.SCHEDULE_RUN_NOW.value)


class Limit(LimitMatchers):
    """One of [[limits]]: how long a run may take and what then happens; the first match wins.

    The order of the fields matters: a field's rule sees the ones above it, unless they are wrong themselves.
    """

    name: Name = Field(examples=['name = "prod nightly"'])
    allow_short: Flag = False
    warn_after: DurationOrNone = None
    cancel_after: DurationOrNone = None
    force_after: DurationOrNone = None
    stuck_after: Duration = timedelta(minutes=15)
    mode: Annotated[Literal["observe", "warn", "cancel"], known("observe", "warn", "cancel")] = "observe"

    @field_validator("cancel_after")
    @classmethod
    def _comes_after_the_warning(cls, value: timedelta | None, info: ValidationInfo) -> timedelta | None:
        warn_after = info.data.get("warn_after")
        if value is None and warn_after is None and "warn_after" in info.data:
            raise BadValueError("is missing", "give warn_after, cancel_after or both")
        if value is not None and warn_after is not None and value <= warn_after:
            both = f'"{duration_literal(value)}" is not longer than warn_after, "{duration_literal(warn_after)}"'
            raise BadValueError(both, "people must have time to act on the warning")
        return value

    @field_validator("force_after")
    @classmethod
    def _follows_a_polite_request(cls, value: timedelta | None, info: ValidationInfo) -> timedelta | None:
        if value is not None and info.data.get("cancel_after", value) is None:
            raise BadValueError("needs cancel_after", "force only follows a polite request")
        return value

    @field_validator("warn_after", "cancel_after", "force_after", "stuck_after")
    @classmethod
    def _is_not_short_by_mistake(cls, value: timedelta | None, info: ValidationInfo) -> timedelta | None:
        if value is not None and value < SHORTEST and info.data.get("allow_short") is False:
            what = f'"{duration_literal(value)}" is under 5 minutes'
            raise BadValueError(what, "if you mean it, write allow_short = true in this limit")
        return value

    @field_validator("mode")
    @classmethod
    def _cancels_only_what_it_was_told_to(cls, value: str, info: ValidationInfo) -> str:
        needs = []
        if any(map(is_everything, info.data.get("environments", ()))):
            needs.append("named environments")
        if info.data.get("cancel_after", BROKEN) is None:
            needs.append("cancel_after")
        if value == "cancel" and needs:
            hint = 'such as environments = ["prod"] and cancel_after = "3h"'
            raise BadValueError(f'"cancel" needs {" and ".join(needs)}', hint)
        return value
