"""Follows a run until the API reports its end, for `--wait`.

What may pass by itself (no network, a server in trouble) does not end the waiting. Must not end the run.
"""

from __future__ import annotations

import math
import threading
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.cli.guide.display import Display, Glimpse, display
from exporter.cli.guide.lookup import FoundRun
from exporter.clock import SystemClock
from exporter.core.model import Status
from exporter.maia.errors import BadAnswer, MaiaError, NotFound, Retryable

if TYPE_CHECKING:
    from exporter.cli.guide.account import Account
    from exporter.maia.answers import Step

_FASTEST, _SLOWEST = 1.0, 15.0  # seconds between two looks: often at first, then a tenth of the time waited
_IN_TROUBLE = 5.0
_ONE_LOOK = 60.0  # seconds that a look may take, waits for the budget included
_LAST_LOOK = 10.0
_SURFACES_WITHIN = 60.0  # seconds after a start in which the API may not know the run yet
_TICK = 1.0


class StillGoing(Exception):  # noqa: N818 - no error: what was asked for
    """The timeout passed before the run ended; `last` is how it was read last, None if it never was."""

    def __init__(self, last: FoundRun | None) -> None:
        super().__init__("the timeout passed")
        self.last = last


def follow(account: Account, project_id: str, run_id: str, *, timeout: timedelta | None = None) -> FoundRun:
    """The run as it ended. Raises StillGoing, and MaiaError for what does not pass by itself."""
    with closing(display()) as shown:
        return _Following(account, project_id, run_id, shown).to_the_end(timeout)


class _Following:
    def __init__(self, account: Account, project_id: str, run_id: str, shown: Display) -> None:
        self._account, self._project_id, self._run_id, self._display = account, project_id, run_id, shown
        self._clock, self._never = SystemClock(), threading.Event()
        self._began = self._clock.monotonic()
        self._last: FoundRun | None = None
        self._step = ""
        self._trouble = ""

    def to_the_end(self, timeout: timedelta | None) -> FoundRun:
        ends = math.inf if timeout is None else self._began + timeout.total_seconds()
        while (left := ends - self._clock.monotonic()) > 0:
            rest = self._look(min(left, _ONE_LOOK))
            if self._last and self._last.run.finished:
                return self._last
            self._rest(min(rest, ends - self._clock.monotonic()))
        with suppress(MaiaError), self._account.client.deadline(_LAST_LOOK):
            self._read()
        if self._last and self._last.run.finished:
            return self._last
        raise StillGoing(self._last)

    def _look(self, seconds: float) -> float:
        """Read the run within `seconds`; says after how many to look again. Raises MaiaError."""
        pace = min(_SLOWEST, max(_FASTEST, self._waited() / 10))
        try:
            with self._account.client.deadline(seconds):
                self._read()
                self._find_step()
        except NotFound:
            if self._last or self._waited() > _SURFACES_WITHIN:
                raise
            return pace
        except (Retryable, BadAnswer) as error:
            self._tell_trouble(error)
            wanted = error.retry_after if isinstance(error, Retryable) else None
            return max(pace, _IN_TROUBLE, wanted or 0.0)
        self._trouble = ""
        return pace

    def _read(self) -> None:
        run, record = self._account.client.read_run(self._project_id, self._run_id)
        self._last = FoundRun(self._project_id, run, record)

    def _find_step(self) -> None:
        run = self._last.run if self._last else None
        if run is None or run.finished:
            return
        with suppress(MaiaError):  # the step is a courtesy: without it the line is shorter
            steps = self._account.client.steps(self._project_id, self._run_id)
            self._step = _current(steps.items)

    def _tell_trouble(self, error: MaiaError) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._display.trouble(f"still waiting: {error}")

    def _rest(self, seconds: float) -> None:
        """Wait, and let the age go on meanwhile."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            if self._last:
                self._display.show(self._glimpse(self._last))
            self._clock.wait(min(_TICK, left), self._never)

    def _glimpse(self, found: FoundRun) -> Glimpse:
        started_at = found.run.started_at
        age = self._account.client.server_now() - started_at if started_at else timedelta(seconds=self._waited())
        return Glimpse(found.run.status_text, max(age, timedelta()), self._step)

    def _waited(self) -> float:
        return self._clock.monotonic() - self._began


def _current(steps: tuple[Step, ...]) -> str:
    """The name of the step that goes on now: the one that began last; "" when none does."""
    going = [each for each in steps if each.status in (Status.RUNNING, Status.CANCELLING)]
    return going[-1].name if going else ""
