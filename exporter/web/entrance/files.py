"""Files that may change while we serve: read whole, and looked at again without being read.

Must not know what is in them.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from exporter.config.errors import BadValueError, quoted

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 1 << 20  # bytes: a wrong path may lead to something huge

Mark = tuple[int, ...]
"""What changes with a file's content or place: replaced, rewritten, or a symbolic link that leads elsewhere now."""


class Files:
    """Reads files, and knows when one of them is no longer what it was then."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark | None] = {}  # by path

    def read(self, path: Path) -> bytes:
        """Read a whole file. Raises `BadValueError`, whose text shows the path."""
        self._marks[str(path)] = _mark(
            str(path)
        )  # before it is read: what is written meanwhile is seen at the next look
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise BadValueError(f"{quoted(str(path))} is not a file")
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except OSError as error:
            raise BadValueError(f"{quoted(str(path))} cannot be read: {error.strerror}") from None
        if len(content) > _LARGEST:
            raise BadValueError(f"{quoted(str(path))} is too large")
        return content

    def changed(self) -> bool:
        """Whether any file that was read, or could not be, is another one now. Costs a microsecond or two a file."""
        for path, mark in self._marks.items():  # noqa: SIM110 - with every request: a generator costs as much again
            if _mark(path) != mark:
                return True
        return False


def _mark(path: str) -> Mark | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
