"""The matchers of a rule, and whether a rule can match at all: hidden by an earlier one, or outside what is watched.

Only what is certain counts as "never": a doubtful case is no error. Must not match runs; `exporter.core.globs` does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from exporter.config.errors import BadValueError, quoted, suggestion
from exporter.config.section import Section
from exporter.config.values import Globs, pattern, some_patterns
from exporter.core.globs import (
    EVERYTHING,
    Scope,
    is_everything,
    is_literal,
    matches_name,
    matches_pipeline,
)
from exporter.core.model import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

Patterns = tuple[str, ...]

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAY_BE_ID = re.compile(r"([0-9a-fA-F*?-]|\[!?+.[^]]*\])*")
"""A glob that some id may match: one with another letter outside of brackets is for names."""


class Matchers(Section):
    """What [poll], a route, an expectation or a limit is about; left out = everything."""

    projects: Globs = EVERYTHING
    environments: Globs = EVERYTHING
    pipelines: Globs = EVERYTHING

    @property
    def scope(self) -> Scope:
        """The matchers, ready to be asked."""
        return Scope(self.projects, self.environments, self.pipelines)

    @property
    def needs_runs(self) -> bool:
        """Whether it is useless when no pipeline can match."""
        return True

    def hides(self, later: Matchers) -> bool:
        """Whether a `later` rule of the same table never gets a turn, because this one takes all that it matches."""
        return (
            later.needs_runs
            and _covers(self.projects, later.projects, matches_name)
            and _covers(self.environments, later.environments, matches_name)
            and _covers(self.pipelines, later.pipelines, matches_pipeline)
        )

    def keys_outside(self, watched: Matchers) -> tuple[str, ...]:
        """Which of the matchers matches nothing that is `watched`."""
        if not self.needs_runs:
            return ()
        meetings: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
            ("projects", _projects_meet),
            ("environments", _environments_meet),
            ("pipelines", _pipelines_meet),
        )
        return tuple(
            key
            for key, meet in meetings
            if not any(meet(seen, wanted) for seen in getattr(watched, key) for wanted in getattr(self, key))
        )


def trigger_pattern(value: object) -> str:
    """Take a glob that matches at least one trigger there is."""
    word = pattern(value)
    if not any(matches_name((word,), trigger) for trigger in Trigger):
        raise BadValueError(f"{quoted(word)} is no trigger", suggestion(word, Trigger))
    return word


TriggerGlobs = Annotated[tuple[Annotated[str, BeforeValidator(trigger_pattern)], ...], BeforeValidator(some_patterns)]


class RunMatchers(Matchers):
    """What a route or a limit is about: runs, by what started them as well."""

    triggers: TriggerGlobs = EVERYTHING

    def hides(self, later: Matchers) -> bool:
        """Whether a `later` rule of the same table never gets a turn."""
        return (
            isinstance(later, RunMatchers) and _triggers_cover(self.triggers, later.triggers) and super().hides(later)
        )


def _triggers_cover(earlier: Patterns, later: Patterns) -> bool:
    return all(matches_name(earlier, trigger) for trigger in Trigger if matches_name(later, trigger))


def _covers(earlier: Patterns, later: Patterns, matches: Callable[[Patterns, str], bool]) -> bool:
    """Whether every name that `later` matches is matched by `earlier`; of two different globs that is not known."""
    return any(map(is_everything, earlier)) or all(
        narrow in earlier or (is_literal(narrow) and matches(earlier, narrow)) for narrow in later
    )


def _projects_meet(seen: str, wanted: str) -> bool:
    """False only where no project can have the one and the other: that of a given name may have any id."""
    if not is_literal(seen):
        return True
    if not is_literal(wanted):
        return matches_name((wanted,), seen) or bool(_ID.fullmatch(seen)) or bool(_MAY_BE_ID.fullmatch(wanted))
    return seen == wanted or bool(_ID.fullmatch(seen)) != bool(_ID.fullmatch(wanted))


def _environments_meet(seen: str, wanted: str) -> bool:
    return not is_literal(seen) or matches_name((wanted,), seen)


def _pipelines_meet(seen: str, wanted: str) -> bool:
    if not is_literal(seen) or matches_pipeline((wanted,), seen):
        return True
    if "/" in seen:
        return False
    return not is_literal(wanted) or matches_pipeline((seen,), wanted)
