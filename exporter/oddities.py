"""Says once what is odd about the API's answers, and passes everything on to the metrics.

The client tells of a bad record whenever it reads it again; a person wants one line, and the counter one count.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.maia.answers import Rejection
    from exporter.maia.watcher import ClientWatcher, ThrottleCause

log = logging.getLogger(__name__)

_REMEMBERED = 10_000
_SKEW_SECONDS = 60.0


class Oddities:
    """A `ClientWatcher` before the metrics."""

    def __init__(self, metrics: ClientWatcher) -> None:
        self._metrics = metrics
        self._told: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._skewed = False

    def request_finished(self, endpoint: str, code: str, seconds: float) -> None:
        """Passed on."""
        log.debug("asked the API", extra={"endpoint": endpoint, "code": code, "ms": round(seconds * 1000)})
        self._metrics.request_finished(endpoint, code, seconds)

    def throttled(self, cause: ThrottleCause, seconds: float) -> None:
        """Passed on."""
        log.debug("waited before asking the API", extra={"cause": cause, "ms": round(seconds * 1000)})
        self._metrics.throttled(cause, seconds)

    def rejected(self, rejection: Rejection) -> None:
        """Counted and logged once a record."""
        if self._first("record", _record_of(rejection), rejection.reason):
            log.warning(
                "A record of the API cannot be read and is skipped.",
                extra={"run_id": rejection.run_id or "none", "at": rejection.path, "reason": rejection.reason},
            )
            self._metrics.rejected(rejection)

    def unrecognised(self, field: str, value: str) -> None:
        """Counted each time, logged once a value."""
        if self._first("value", field, value):
            log.warning("The API uses a value that this version does not know.", extra={"field": field, "value": value})
        self._metrics.unrecognised(field, value)

    def token_renewed(self, expires_at: datetime) -> None:
        """Passed on."""
        log.debug("signed in to the API", extra={"until": expires_at.isoformat(timespec="seconds")})
        self._metrics.token_renewed(expires_at)

    def clock_skew(self, seconds: float) -> None:
        """Passed on; logged when it begins to matter and when it has ended."""
        skewed = abs(seconds) > _SKEW_SECONDS
        if skewed != self._skewed:
            self._skewed = skewed
            if skewed:
                log.warning("The API's clock and ours differ; look at NTP on this machine.", extra={"seconds": seconds})
            else:
                log.info("The API's clock and ours agree again.")
        self._metrics.clock_skew(seconds)

    def _first(self, kind: str, what: str, value: str) -> bool:
        key = (kind, what, value[:200])
        if key in self._told:
            self._told.move_to_end(key)
            return False
        self._told[key] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True


def _record_of(rejection: Rejection) -> str:
    """What one record is known by, wherever it stands when it is read again; of one without an id, its content."""
    return rejection.run_id or (f"{rejection.content:x}" if rejection.content else rejection.path)
