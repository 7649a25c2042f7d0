"""Who wants to know what the client does: the metrics implement it, commands pass `SilentWatcher`.

Must not influence a call: a watcher is told, never asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.maia.answers import Rejection

ThrottleCause = Literal["budget", "retry_after"]


class ClientWatcher(Protocol):
    """Told about each thing once, on the thread that makes the call."""

    def request_finished(self, endpoint: str, code: str, seconds: float) -> None:
        """A request ended. `endpoint` is a template, `code` the HTTP status or, without a whole answer, a `Cause`."""

    def throttled(self, cause: ThrottleCause, seconds: float) -> None:
        """We waited before a request: for our own budget, or because the server asked for it."""

    def rejected(self, rejection: Rejection) -> None:
        """A record was skipped. The same record is told again whenever it is read again."""

    def unrecognised(self, field: str, value: str) -> None:
        """A field (the API's name) held something this version does not know."""

    def token_renewed(self, expires_at: datetime) -> None:
        """A new token, good until then."""

    def clock_skew(self, seconds: float) -> None:
        """The server's clock less ours at its last answer, good to about a second."""


class SilentWatcher:
    """Does nothing with what it is told."""

    def request_finished(self, endpoint: str, code: str, seconds: float) -> None:
        """Ignored."""

    def throttled(self, cause: ThrottleCause, seconds: float) -> None:
        """Ignored."""

    def rejected(self, rejection: Rejection) -> None:
        """Ignored."""

    def unrecognised(self, field: str, value: str) -> None:
        """Ignored."""

    def token_renewed(self, expires_at: datetime) -> None:
        """Ignored."""

    def clock_skew(self, seconds: float) -> None:
        """Ignored."""
