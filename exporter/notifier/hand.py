"""The thread of one who works until told to stop, and sleeps until the bell rings."""

from __future__ import annotations

import threading


class Hand:
    """Base of all that delivers: its work is `_run`, which ends soon after `_stopping` is set."""

    def __init__(self, name: str) -> None:
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do. Returns at once."""
        self._bell.set()

    def stop(self) -> None:
        """Begin nothing more; what is under way is finished."""
        self._stopping.set()
        self._bell.set()

    def join(self, seconds: float) -> None:
        """Wait for the end, so long."""
        self._thread.join(max(0.0, seconds))

    @property
    def running(self) -> bool:
        """Whether its thread has not ended yet."""
        return self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether it works, or was asked not to."""
        return self.running or self._stopping.is_set()

    def _run(self) -> None:
        raise NotImplementedError
