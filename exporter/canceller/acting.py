"""Asks runs past their limit to stop: what was decided is looked at on the run itself, written down, then sent.

    intent committed → GET the run → still the same, RUNNING, over, under the same limit → claim committed → PATCH
    → outcome committed

Whatever interrupts this leaves rows from which the next poll goes on. Belongs to the poller's thread. Must not decide
which runs are asked (`exporter.core.limits.decide`), nor call a run cancelled: only the API does.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from exporter.clock import Mark
from exporter.core.limits import answers
from exporter.core.limits.draft import Moment
from exporter.core.limits.judge import last_look
from exporter.core.limits.runs import LimitedRun, Limits, LimitStep, Reason, RequestMode
from exporter.core.model import Status
from exporter.maia.errors import (
    BadAnswer,
    Forbidden,
    MaiaError,
    NotFound,
    RateLimited,
    Retryable,
    Stopped,
    Unauthorized,
)
from exporter.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from exporter.clock import Clock
    from exporter.core.limits.rules import Coverage
    from exporter.core.model import Run
    from exporter.maia.transport import ServerTime

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How old the look at a run may be when its request goes out."""

LOOKS = 3
"""How often a run is looked at once more because that took longer."""


class CancelApi(Protocol):
    """The part of the client that is used here."""

    @property
    def server_time(self) -> ServerTime | None:
        """The server's clock at its last answer."""

    def server_now(self) -> datetime:
        """The server's clock now."""

    def get_run(self, project_id: str, run_id: str) -> Run:
        """One run."""

    def cancel(self, project_id: str, run_id: str, *, force: bool) -> None:
        """Ask for its end."""

    def background(self, *, reserve: int) -> AbstractContextManager[None]:
        """Calls inside leave so many requests of the budget."""


class LimitJournal(Protocol):
    """Where steps are made durable."""

    def commit(self, step: LimitStep) -> None:
        """Write the rows and what is told in one transaction, which a standby cannot pass. Raises StoreError."""

    def reload(self) -> Limits:
        """What the record holds. Raises StoreError."""


class _NotNow(Exception):  # noqa: N818 - a turn in the road, not an error
    """Nothing more can be asked before the next poll."""


class Canceller:
    """Holds the committed state of the limits, and acts on it after a poll's commit."""

    def __init__(
        self,
        client: CancelApi,
        journal: LimitJournal,
        *,
        clock: Clock,
        coverage: Callable[[], Coverage],
        stale_after: timedelta,
        on_duty: Callable[[], bool] = lambda: True,
    ) -> None:
        """`coverage` gives the config's limits at the moment it is called; see `Policy.of` for `stale_after`.

        `on_duty`: whether this process still leads, and by the config that this was built for: else nothing goes out.
        """
        self.limits = Limits()
        self._client = client
        self._journal = journal
        self._clock = clock
        self._coverage = coverage
        self._stale_seconds = stale_after.total_seconds()
        self._on_duty = on_duty
        self._outdated = False

    def moment(self, server_now: datetime) -> Moment:
        """The moment of a step that was read at `server_now` by the API's clock."""
        server_time = self._client.server_time
        return Moment(
            server_now=server_now,
            detected_at=self._clock.now(),
            skew_seconds=None if server_time is None else server_time.skew_seconds,
            names=self._coverage().names,
        )

    def committed(self, step: LimitStep) -> None:
        """A step is durable: hold it, and say it."""
        self.limits = step.limits
        for notice, _ in step.told:
            facts = {fact.label: fact.value for fact in notice.facts}
            said = facts.get("cancel") or facts.get("breaker") or facts.get("limit", "")
            log.warning(
                "%s: %s", notice.event.value, said, extra={"event_id": notice.event_id, "run_id": notice.run_id}
            )

    def act(self, read_began: Mark) -> None:
        """Send what is due. `read_began`: when the poll that it rests on began to read. Raises Stopped only."""
        if self._outdated:
            self._reload()
        for waiting in answers.due(self.limits):
            if self._outdated or not self._on_duty():
                return
            if read_began.aged(self._clock, self._stale_seconds):
                log.warning("This process has slept or was held up: no run is asked to stop before another poll.")
                return
            try:
                self._ask(waiting.run_id)
            except _NotNow:
                return
            except StoreError as error:
                log.warning("The limits cannot be written, so no run is asked to stop: %s", error)
                self._reload()

    # One request

    def _ask(self, run_id: str) -> None:
        """Look at the run, claim the request, send it; look again where that took too long."""
        claimed = False
        for _ in range(LOOKS):
            looked_at = Mark.of(self._clock)
            run, reason = self._look(self.limits.runs[run_id], claimed=claimed)
            if run is None or reason is not Reason.READY:
                break
            if not claimed:
                self._commit(answers.claimed(self.limits, self.limits.runs[run_id], self._now()))
                claimed = True
            if not self._on_duty():
                run, reason = None, Reason.UNREADABLE
                break
            if not looked_at.aged(self._clock, LOOK_SECONDS):
                self._send(self.limits.runs[run_id], run)
                return
        else:
            run, reason = None, Reason.UNREADABLE
        if claimed:
            self._commit(answers.unheard(self.limits, self.limits.runs[run_id], self._now(), detail=reason.value))
        self._turn_down(self.limits.runs[run_id], run, reason)

    def _look(self, limited: LimitedRun, *, claimed: bool) -> tuple[Run | None, Reason]:
        """The run as it is now, and whether its request may be sent."""
        request = limited.due
        if request is None:
            return None, Reason.RULE_CHANGED
        try:
            with self._client.background(reserve=1):  # so that the request itself need not wait for the budget
                run = self._client.get_run(limited.pipeline.project_id, limited.run_id)
        except Stopped:
            raise
        except RateLimited as error:
            log.info("No run is asked to stop before the next poll: %s", error)
            if claimed:
                return None, Reason.UNREADABLE
            raise _NotNow from error
        except (Retryable, BadAnswer) as error:
            log.warning("Run %s is not asked to stop now: %s", limited.run_id, error)
            return None, Reason.UNREADABLE
        except NotFound:
            return None, Reason.FINISHED
        except MaiaError as error:
            log.warning("Run %s cannot be read, so it is not asked to stop: %s", limited.run_id, error)
            return None, Reason.REFUSED
        server_time = self._client.server_time
        return run, last_look(
            limited,
            request,
            run,
            coverage=self._coverage(),
            server_now=self._client.server_now(),
            skew_seconds=None if server_time is None else server_time.skew_seconds,
            claimed=claimed,
        )

    def _turn_down(self, limited: LimitedRun, run: Run | None, reason: Reason) -> None:
        """It is not sent. What cannot become right is told; the rest is decided anew by the next poll."""
        log.info("Run %s is not asked to stop: %s", limited.run_id, reason.value, extra={"run_id": limited.run_id})
        if reason in (Reason.ANOTHER_RUN, Reason.REFUSED):
            self._commit(answers.refused(self.limits, limited, run, self._now(), detail=reason.value))
        elif reason is not Reason.UNREADABLE:
            self._commit(answers.given_up(self.limits, limited, run, self._now(), reason))

    def _send(self, limited: LimitedRun, run: Run) -> None:
        request = limited.due
        force = request is not None and request.mode is RequestMode.FORCE
        log.warning("asking a run to stop", extra={"run_id": run.run_id, "limit": limited.limit, "force": force})
        try:
            self._client.cancel(limited.pipeline.project_id, limited.run_id, force=force)
        except Stopped:
            raise  # it may have been heard: the row says so, and the next start looks
        except RateLimited as error:
            self._commit(answers.unheard(self.limits, limited, self._now(), detail=str(error)))
            raise _NotNow from error
        except (Retryable, BadAnswer) as error:
            self._commit(answers.doubtful(self.limits, limited, self._now(), detail=str(error)))
        except (Unauthorized, Forbidden) as error:
            self._commit(answers.refused(self.limits, limited, run, self._now(), detail=str(error)))
        except MaiaError as error:
            self._refused_or_too_late(limited, run, str(error))
        else:
            self._commit(answers.accepted(self.limits, limited, run, self._now()))

    def _refused_or_too_late(self, limited: LimitedRun, run: Run, detail: str) -> None:
        """The API would not do it: because the run has ended, or for a reason of its own."""
        try:
            run = self._client.get_run(limited.pipeline.project_id, limited.run_id)
        except Stopped:
            raise
        except (Retryable, BadAnswer):
            self._commit(answers.doubtful(self.limits, limited, self._now(), detail=detail))
            return
        except MaiaError:
            pass  # not even shown to us any more
        request = limited.due
        if run.finished:
            self._commit(answers.too_late(self.limits, limited, self._now(), detail=detail))
        elif request is not None and request.tries > 1 and run.status is Status.CANCELLING:
            self._commit(answers.accepted(self.limits, limited, run, self._now()))
        else:
            self._commit(answers.refused(self.limits, limited, run, self._now(), detail=detail))

    # How

    def _now(self) -> Moment:
        return self.moment(self._client.server_now())

    def _commit(self, step: LimitStep) -> None:
        if step.change or step.told:
            self._journal.commit(step)
        self.committed(step)

    def _reload(self) -> None:
        """What we hold may differ from what is written: the record is right."""
        self._outdated = True
        try:
            kept = self._journal.reload()
        except StoreError as error:
            log.warning("The limits cannot be read, so no run is asked to stop: %s", error)
            return
        self.limits = kept
        self._outdated = False
