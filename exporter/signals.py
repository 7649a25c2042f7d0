"""The signals that a service lives by: kept from its first moment, and taken one by one.

Must not be handled anywhere else: a handler that wakes a waiting main thread can deadlock, this cannot.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOOK_SECONDS = 0.5


def hold() -> None:
    """Keep them until somebody asks. Before any thread starts: threads inherit what is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def arrivals() -> Iterator[int]:
    """What comes, and 0 every half second."""
    while True:
        caught = signal.sigtimedwait(SIGNALS, _LOOK_SECONDS)
        yield caught.si_signo if caught else 0
