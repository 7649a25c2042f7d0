"""What the parts of one running simulator share: the world, its clock, tokens, the request budget, faults and the log.

Must not know HTTP beyond the names of things in it.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from exporter.simulator.faults import FaultError, Faults
from exporter.simulator.table import ScriptError
from exporter.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.simulator.script import Answers, Script

CLIENT_ID = "demo"
CLIENT_SECRET = "demo"  # noqa: S105 - the one everybody may know
AUDIENCE = "https://api.matillion.com"
_MINUTE = timedelta(minutes=1)
_LOG_LENGTH = 200_000


@dataclass(slots=True)
class Tokens:
    """Bearer tokens and when each dies."""

    expires_in: timedelta
    dies_after: timedelta
    _deaths: dict[str, datetime] = field(default_factory=dict)

    def issue(self, now: datetime) -> str:
        """A new token."""
        self._deaths = {token: death for token, death in self._deaths.items() if death > now}
        token = secrets.token_urlsafe(32)
        self._deaths[token] = now + self.dies_after
        return token

    def accept(self, token: str, now: datetime) -> bool:
        """Whether a token is good."""
        death = self._deaths.get(token)
        return death is not None and now < death

    def revoke(self) -> int:
        """Kill all tokens; says how many there were."""
        revoked = len(self._deaths)
        self._deaths.clear()
        return revoked


@dataclass(slots=True)
class Budget:
    """The account's requests in any minute."""

    per_minute: int
    _taken: deque[datetime] = field(default_factory=deque)

    def take(self, now: datetime) -> int:
        """Take one; 0, or in how many whole seconds there is one again."""
        while self._taken and self._taken[0] <= now - _MINUTE:
            self._taken.popleft()
        if len(self._taken) < self.per_minute:
            self._taken.append(now)
            return 0
        return max(1, math.ceil((self._taken[0] + _MINUTE - now).total_seconds()))


@dataclass(slots=True)
class Entry:
    """One request as the log keeps it; `answered` stays None while, and if, no answer begins."""

    at: datetime
    method: str
    path: str
    query: str
    answered: int | None = None
    seconds: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


class Simulation:
    """One simulator."""

    def __init__(self, script: Script, *, seed: int, speed: float, clock: Callable[[], datetime]) -> None:
        self.script = script
        self.clock = clock
        self.stopping = False
        self.offset = script.clock_offset
        self.answers: Answers = replace(script.answers)
        dies_after = script.token_dies_after
        self.tokens = Tokens(script.token_expires_in, script.token_expires_in if dies_after is None else dies_after)
        self.budget = Budget(script.requests_per_minute)
        self.log: deque[Entry] = deque(maxlen=_LOG_LENGTH)
        self.faults = Faults(seed)
        self.world = World(replace(script, answers=self.answers), seed=seed, speed=speed, epoch=clock() + self.offset)
        for number, window in enumerate(script.faults, 1):
            scale, epoch = self.world.scale, self.world.epoch
            try:
                self.faults.add(
                    window.fault,
                    start=epoch + window.start / scale,
                    end=None if window.end is None else epoch + window.end / scale,
                    every=None if window.every is None else window.every / scale,
                )
            except FaultError as error:
                raise ScriptError(f"{script.name}.toml: faults[{number}].{error}") from error

    def now(self) -> datetime:
        """The server's clock, with the world moved on to it."""
        now = self.clock() + self.offset
        self.world.advance(now)
        return now
