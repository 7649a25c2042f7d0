"""What can go wrong with the Maia API, as a tree shaped by what the caller does about it.

    MaiaError                 .cause is one of `Cause`; the text says what we tried, what came, and a hint
    ├── Stopped               we are shutting down: say nothing, count nothing, leave
    ├── Retryable             back off and ask again (.retry_after: seconds the server wants, or None)
    │   ├── TimedOut          no whole answer in time; what a POST or PATCH did is not known
    │   ├── NetworkFailed     no connection, or it broke; the same doubt for a POST or PATCH
    │   ├── ServerFailed      5xx
    │   └── RateLimited       429, or our own budget is used up for longer than we may wait
    ├── Unauthorized          the credentials are not accepted: a person must look
    ├── Forbidden             403: the account's role lacks this (.project_id, "" where no project was named)
    ├── NotFound              404
    ├── Conflict              409
    ├── Gone                  410
    ├── Refused               400, a redirect, any other 4xx: asking again will not help
    └── BadAnswer             HTML, no JSON, the wrong shape, too large, a list that never ends

Must not know about HTTP libraries: `exporter.maia.mapping` turns their exceptions into these, once.
"""

# ruff: noqa: N818 - the leaves are named as HTTP and people name them; the root says that they are errors
from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

_EXCERPT_LENGTH = 200
_SHORTEST_SECRET = 8  # masking a shorter one, like the simulator's "demo", would riddle ordinary words


class Cause(StrEnum):
    """Why an exchange with the API failed: the closed label set of the poll failures metric."""

    AUTH = "auth"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    NETWORK = "network"
    SERVER = "server"  # also what the API refuses by NotFound, Conflict, Gone and Refused: it answered, we disagree
    DECODE = "decode"


class MaiaError(Exception):
    """Anything that kept a call from giving its whole answer."""

    cause: ClassVar[Cause] = Cause.SERVER


class Stopped(MaiaError):
    """A stop came while we waited or read. Not a failure: nobody counts it (its cause is a formality)."""

    cause = Cause.TIMEOUT


class Retryable(MaiaError):
    """The same call may work later; `retry_after` is what the server asked for, in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TimedOut(Retryable):
    """No whole answer within the request's time or the caller's deadline."""

    cause = Cause.TIMEOUT


class NetworkFailed(Retryable):
    """No connection, or one that broke."""

    cause = Cause.NETWORK


class ServerFailed(Retryable):
    """The server or something in front of it says that it failed."""

    cause = Cause.SERVER


class RateLimited(Retryable):
    """The account's or our own share of requests is used up."""

    cause = Cause.RATE_LIMITED


class Unauthorized(MaiaError):
    """Sign-in refused the credentials, or the API refused a token that sign-in had just given."""

    cause = Cause.AUTH


class Forbidden(MaiaError):
    """The credentials are good, their role does not reach this far."""

    cause = Cause.FORBIDDEN

    def __init__(self, message: str, *, project_id: str = "") -> None:
        super().__init__(message)
        self.project_id = project_id


class NotFound(MaiaError):
    """The API does not know it (any more)."""


class Conflict(MaiaError):
    """It clashes with what is going on, for example a tag that is in use."""


class Gone(MaiaError):
    """It exists and is switched off."""


class Refused(MaiaError):
    """The API will not do this, however often we ask."""


class BadAnswer(MaiaError):
    """An answer came that cannot be what we asked for."""

    cause = Cause.DECODE


def excerpt(text: str, *, secrets: tuple[str, ...] = ()) -> str:
    """At most 200 printable characters of somebody else's text on one line, without any of `secrets`."""
    # A secret across the cut must not survive in half: mask before cutting.
    head = text[: _EXCERPT_LENGTH * 100]
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            head = head.replace(secret, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    return line if len(line) <= _EXCERPT_LENGTH else line[: _EXCERPT_LENGTH - 1] + "…"
