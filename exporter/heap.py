"""Asks the C library to give memory back that is no longer used.

As it comes, glibc keeps an arena for each thread, and after the first large text that was freed nearly all that was
used: reading a long past would take as much as all its pieces together. Must not fail where it is another library.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8  # of malloc.h
_TRIMMED_FROM = 128 * 1024
"""Bytes that are free at the top: what glibc begins with, and raises on its own."""


def give_back() -> None:
    """From now on, what `MALLOC_ARENA_MAX` and `MALLOC_TRIM_THRESHOLD_` in the environment do from the start."""
    with suppress(OSError, AttributeError, TypeError):  # musl, macOS and others have their own ways
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _TRIMMED_FROM)
