"""Whether we are alive, and whether we are of use: what the two health endpoints say.

Told by others; must not find anything out by itself, so that an answer never waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Verdict(NamedTuple):
    """A health endpoint's answer: good or not, and one line that says why."""

    good: bool
    reason: str


class Workers:
    """The threads that this process cannot do without."""

    def __init__(self) -> None:
        self._alive: dict[str, Callable[[], bool]] = {}

    def register(self, name: str, alive: Callable[[], bool]) -> None:
        """Watch a worker; `alive` must answer at once."""
        self._alive[name] = alive

    def verdict(self) -> Verdict:
        """Good as long as all of them are alive."""
        dead = [name for name, alive in self._alive.items() if not alive()]
        if dead:
            return Verdict(False, f"not alive: {', '.join(dead)}")
        return Verdict(True, f"alive: {', '.join(self._alive) or 'the web server'}")


class Readiness:
    """Whether the store can be written and there is something to show. An outage of the API does not matter."""

    def __init__(self) -> None:
        self._store_problem = ""
        self._something_to_show = False
        self._standing_by = False

    def store_works(self) -> None:
        """The store was read or written."""
        self._store_problem = ""

    def store_failed(self, reason: str) -> None:
        """The store cannot be written; `reason` is one line without secrets."""
        self._store_problem = reason or "unknown reason"

    def has_something_to_show(self) -> None:
        """A poll was good, or the record holds an earlier one."""
        self._something_to_show = True

    def stands_by(self) -> None:
        """Another replica leads; this one is ready to take over."""
        self._standing_by = True

    def leads(self) -> None:
        """This process polls."""
        self._standing_by = False

    def verdict(self) -> Verdict:
        """Good when traffic may come."""
        if self._store_problem:
            return Verdict(False, f"the store cannot be written: {self._store_problem}")
        if self._standing_by:
            return Verdict(True, "standing by for the leader")
        if not self._something_to_show:
            return Verdict(False, "no poll has succeeded yet")
        return Verdict(True, "ready")
