"""Looks at what all the others publish, and notices when it has changed.

On the page's own thread only. A follower shows nothing but its role.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from exporter.metrics.snapshot import Snapshot
from exporter.web.page.sources import NO_LIMITS, Around

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.core.limits.rules import Coverage
    from exporter.core.limits.runs import Limits
    from exporter.metrics.exposition import Exposition
    from exporter.metrics.facts import Facts as Counts
    from exporter.metrics.self_metrics import PollStanding
    from exporter.web.health import Readiness, Verdict
    from exporter.web.page.sources import PageSources


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """Everything that a page is made of, but for what the record holds of ended runs."""

    version: str
    leading: bool
    ready: Verdict
    polls: PollStanding
    poll_interval: float  # seconds
    counts: Counts
    snapshot: Snapshot
    limits: Limits
    coverage: Coverage
    around: Around
    run_url: str
    config: Mapping[str, Any]

    def says_the_same_as(self, other: Facts) -> bool:
        """Whether a page of these would be the same; the large ones are new objects when they have changed."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is not theirs and (field.name in _BY_IDENTITY or mine != theirs):
                return False
        return True


_BY_IDENTITY = ("counts", "snapshot", "limits", "coverage")


class Board:
    """Holds the newest facts."""

    def __init__(self, exposition: Exposition, readiness: Readiness, page: PageSources, *, version: str) -> None:
        self._exposition = exposition
        self._readiness = readiness
        self._page = page
        self._version = version
        self._facts: Facts | None = None
        self.edition = 0
        """How often the facts have changed."""

    def look(self) -> Facts:
        """The facts as they are now: the very same object as long as they say the same."""
        facts = self._now()
        if self._facts is None or not facts.says_the_same_as(self._facts):
            self._facts = facts
            self.edition += 1
        return self._facts

    def _now(self) -> Facts:
        exposition, page = self._exposition, self._page
        ours = exposition.ours
        leading = ours.registry.leading
        limits, coverage = page.limits() if leading else NO_LIMITS
        return Facts(
            version=self._version,
            leading=leading,
            ready=self._readiness.verdict(),
            polls=ours.polls,
            poll_interval=ours.poll_interval,
            counts=exposition.facts,
            snapshot=exposition.snapshot if leading else _NOTHING,
            limits=limits,
            coverage=coverage,
            around=page.around() if leading else _NOBODY,
            run_url=page.run_url(),
            config=page.config(),
        )


_NOTHING = Snapshot()
_NOBODY = Around()
