"""Facts about us: what the poller, the API client, the store and the config say of themselves.

Implements `exporter.maia.watcher.ClientWatcher`. Told from any thread, read by scrapes.
Must not call anything, nor hold a fact about Maia.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exporter.core.state import Cursor
from exporter.metrics import catalogue
from exporter.metrics.labels import project_labels
from exporter.metrics.own_registry import OwnRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from prometheus_client import Counter

    from exporter.maia.answers import Rejection
    from exporter.maia.watcher import ThrottleCause
    from exporter.metrics.facts import Facts

POLL_FAILURE_CAUSES = ("auth", "forbidden", "rate_limited", "timeout", "network", "server", "decode", "store")
THROTTLE_CAUSES: tuple[ThrottleCause, ...] = ("budget", "retry_after")
UNRECOGNISED_FIELDS = ("status", "trigger")
"""Those whose values are a closed list; any other field can only be unreadable, and shows when it was."""
SUPPRESSION_REASONS = ("baseline", "silenced", "unchanged", "no_route", "expired")

_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class PollStanding:
    """How polling goes. Instants are None before the first."""

    up: bool = False  # the last poll read everything in scope
    last_poll_at: datetime | None = None
    last_successful_poll_at: datetime | None = None  # the record's, until a poll of this process was good
    last_failure: str | None = None  # the cause, as long as no good poll has followed


class SelfMetrics:
    """Told by everyone what happened; `registry` says it to whoever scrapes."""

    def __init__(
        self, *, version: str, started_at: datetime, poll_interval: timedelta, revision: str = "unknown"
    ) -> None:
        registry = self.registry = OwnRegistry()
        self.polls = PollStanding()
        self.poll_interval = poll_interval.total_seconds()
        self._up = registry.gauge(catalogue.UP)
        self._project_up = registry.recorded(catalogue.PROJECT_UP)
        self._suppressed = registry.recorded(catalogue.SUPPRESSED)
        self._suppressed_counts: Mapping[str, int] = {}
        self._baseline_failures = 0
        self._last_poll = registry.recorded(catalogue.LAST_POLL)
        self._last_successful_poll = registry.recorded(catalogue.LAST_SUCCESSFUL_POLL)
        self._poll_duration = registry.recorded(catalogue.POLL_DURATION)
        self._poll_interval = registry.gauge(catalogue.POLL_INTERVAL)
        self._polls = registry.counter(catalogue.POLLS)
        self._poll_failures = registry.counter(catalogue.POLL_FAILURES)
        self._possibly_missed = registry.recorded(catalogue.POSSIBLY_MISSED)
        self._last_possibly_missed = registry.recorded(catalogue.LAST_POSSIBLY_MISSED)
        self._api_requests = registry.counter(catalogue.API_REQUESTS)
        self._api_request_duration = registry.histogram(catalogue.API_REQUEST_DURATION, buckets=_REQUEST_SECONDS)
        self._api_throttled = registry.counter(catalogue.API_THROTTLED)
        self._token_expiry = registry.recorded(catalogue.TOKEN_EXPIRY)
        self._clock_skew = registry.recorded(catalogue.CLOCK_SKEW)
        self._tracked_pipelines = registry.gauge(catalogue.TRACKED_PIPELINES)
        self._tracked_runs = registry.gauge(catalogue.TRACKED_RUNS)
        self._over_cap = registry.gauge(catalogue.OVER_CAP)
        self._pruned = registry.recorded(catalogue.PRUNED)
        self._rejected = registry.counter(catalogue.REJECTED)
        self._unrecognised = registry.counter(catalogue.UNRECOGNISED)
        self._store_failures = registry.counter(catalogue.STORE_FAILURES)
        self._store_last_commit = registry.recorded(catalogue.STORE_LAST_COMMIT)
        self._reload_successful = registry.gauge(catalogue.RELOAD_SUCCESSFUL)
        self._reload_success_time = registry.gauge(catalogue.RELOAD_SUCCESS_TIME)
        self._is_leader = registry.gauge(catalogue.IS_LEADER)
        build_info = registry.gauge(catalogue.BUILD_INFO)
        build_info.labels(version, revision, platform.python_version()).set(1)
        _start_at_zero(self._poll_failures, POLL_FAILURE_CAUSES)
        _start_at_zero(self._api_throttled, THROTTLE_CAUSES)
        _start_at_zero(self._unrecognised, UNRECOGNISED_FIELDS)
        self._is_leader.set(1)
        self.read_record(Cursor())
        self.config_loaded(started_at, poll_interval=poll_interval)

    # The poller.

    def poll_succeeded(self, at: datetime, *, seconds: float, complete: bool = True) -> None:
        """A poll ended well. Not `complete`: a read of some project's runs was refused, so that we are not up."""
        self._poll_ended(at, seconds)
        self._last_successful_poll.set(at.timestamp())
        self._up.set(complete)
        self.polls = PollStanding(up=complete, last_poll_at=at, last_successful_poll_at=at)
        self.registry.heard()

    def poll_failed(self, cause: str, at: datetime, *, seconds: float) -> None:
        """A poll came to nothing. `cause` is one of `POLL_FAILURE_CAUSES`."""
        self._poll_ended(at, seconds)
        self._poll_failures.labels(cause).inc()
        self._up.set(0)
        self.polls = replace(self.polls, up=False, last_poll_at=at, last_failure=cause)
        self.registry.heard()

    def projects_answered(self, answered: Mapping[str, bool], *, names: Mapping[str, str]) -> None:
        """Whether discovery and reads of its runs worked, for every project id in scope; `names` by id."""
        labels = project_labels(answered, names)
        self._project_up.set_each({labels[project_id]: int(good) for project_id, good in answered.items()})
        self.registry.heard()

    def read_record(self, cursor: Cursor) -> None:
        """Show what outlives us: the counters that the record keeps, and the last good poll before we started."""
        self._possibly_missed.set(cursor.possibly_missed)
        if cursor.possibly_missed_at is not None:
            self._last_possibly_missed.set(cursor.possibly_missed_at.timestamp())
        self._pruned.set_each(dict(cursor.pruned))
        self._baseline_failures = cursor.baseline_failures
        self.notifications_suppressed(self._suppressed_counts)
        if self.polls.last_successful_poll_at is None and cursor.polled_at is not None:
            self.polls = replace(self.polls, last_successful_poll_at=cursor.polled_at)
            self._last_successful_poll.set(cursor.polled_at.timestamp())
        self.registry.heard()

    def notifications_suppressed(self, counts: Mapping[str, int]) -> None:
        """How many notifications were not sent, by reason, as the outbox has it; baseline is the record's."""
        self._suppressed_counts = counts
        self._suppressed.set_each(
            {**dict.fromkeys(SUPPRESSION_REASONS, 0), **counts, "baseline": self._baseline_failures}
        )
        self.registry.heard()

    def facts_rendered(self, facts: Facts) -> None:
        """How much of Maia is shown from now on."""
        self._tracked_pipelines.set(facts.pipelines)
        self._tracked_runs.set(facts.active_runs)
        self._over_cap.set(facts.over_cap)
        self.registry.heard()

    # The store, the config, the replicas.

    def store_committed(self, at: datetime) -> None:
        """The record was written."""
        self._store_last_commit.set(at.timestamp())
        self.registry.heard()

    def store_failed(self) -> None:
        """The record could not be written."""
        self._store_failures.inc()
        self.registry.heard()

    def config_loaded(self, at: datetime, *, poll_interval: timedelta) -> None:
        """A good config was read and is in effect."""
        self._reload_successful.set(1)
        self._reload_success_time.set(at.timestamp())
        self.poll_interval = poll_interval.total_seconds()
        self._poll_interval.set(self.poll_interval)
        self.registry.heard()

    def config_refused(self) -> None:
        """A config with errors was read; the one before stays in effect."""
        self._reload_successful.set(0)
        self.registry.heard()

    def leads(self) -> None:
        """From now on this process polls, sends and cancels."""
        self._is_leader.set(1)
        self.registry.leading = True
        self.registry.heard()

    def follows(self) -> None:
        """From now on this process stands by, and shows only `maia_exporter_*`."""
        self._is_leader.set(0)
        self.registry.leading = False
        self.polls = PollStanding()  # another process goes on, and what it has found is in the record
        self._up.set(0)
        self._last_successful_poll.set_each({})
        self.registry.heard()

    # The API client.

    def request_finished(self, endpoint: str, code: str, seconds: float) -> None:
        """A request to the API ended."""
        self._api_requests.labels(endpoint, code).inc()
        self._api_request_duration.labels(endpoint).observe(seconds)
        self.registry.heard()

    def throttled(self, cause: ThrottleCause, seconds: float) -> None:
        """The client waited before a request."""
        self._api_throttled.labels(cause).inc(seconds)
        self.registry.heard()

    def rejected(self, rejection: Rejection) -> None:
        """A record was skipped."""
        del rejection  # its path and its run's id would be labels without end
        self._rejected.inc()
        self.registry.heard()

    def unrecognised(self, field: str, value: str) -> None:
        """A field held something that this version does not know."""
        del value  # the same
        self._unrecognised.labels(field).inc()
        self.registry.heard()

    def token_renewed(self, expires_at: datetime) -> None:
        """A new token came, good until then."""
        self._token_expiry.set(expires_at.timestamp())
        self.registry.heard()

    def clock_skew(self, seconds: float) -> None:
        """The API's clock less ours."""
        self._clock_skew.set(seconds)
        self.registry.heard()

    def _poll_ended(self, at: datetime, seconds: float) -> None:
        self._polls.inc()
        self._last_poll.set(at.timestamp())
        self._poll_duration.set(seconds)


def _start_at_zero(counter: Counter, values: Iterable[str]) -> None:
    for value in values:
        counter.labels(value)
