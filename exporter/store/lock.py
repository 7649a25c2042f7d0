"""One service at a time on one SQLite file: a lock of the operating system, which ends with the process that holds it.

Must not know what is in the store.
"""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING, Self

from exporter.store.errors import StoreLocked, from_system

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_TRIED = "open the record"
_LONGEST_HOLDER = 400  # bytes of the lock file that are shown


class ServiceLock:
    """Held from `take` to `release`, or to the end of the process, however it ends."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def take(cls, file: Path, *, now: datetime | None) -> Self:
        """Lock `<file>.lock` and write down who holds it. Raises StoreLocked, which names the holder."""
        try:
            handle = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise from_system(str(file), _TRIED, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, _holder(now).encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(handle, _LONGEST_HOLDER, 0).decode(errors="replace").strip()
            os.close(handle)
            raise StoreLocked(
                f"{_TRIED}: another maia-exporter{f' ({holder})' if holder else ''} is using {file}; "
                "stop it, or give this one its own [store] url"
            ) from error
        except OSError as error:
            os.close(handle)
            raise from_system(str(file), _TRIED, error) from error
        return cls(handle)

    def release(self) -> None:
        """Let others in. The file stays: removing it would let two services lock two files of one name."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _holder(now: datetime | None) -> str:
    since = f", since {now:%Y-%m-%dT%H:%M:%SZ}" if now is not None else ""
    return f"pid {os.getpid()} on {socket.gethostname()}{since}\n"
