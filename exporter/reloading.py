"""Takes up a changed config: on request, and when its file has changed. A bad one changes nothing.

In a thread of its own: a file system that hangs holds up neither polls nor the stop. Must not know what follows.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from exporter.config.errors import ConfigError

if TYPE_CHECKING:
    from exporter.clock import Clock
    from exporter.config.root import Config
    from exporter.config_file import ConfigFile
    from exporter.duty import Duty
    from exporter.metrics.self_metrics import SelfMetrics

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at the file. What has changed is read once it has stayed the same for one more look."""

AT_START_ONLY = ("web", "store")
"""Tables that take effect when the process starts."""


class Reloader:
    """Watches a config file from `start` to `stop`; `ask` reads it at once."""

    def __init__(self, file: ConfigFile, duty: Duty, ours: SelfMetrics, *, clock: Clock) -> None:
        self._file = file
        self._duty = duty
        self._ours = ours
        self._clock = clock
        self._bell = threading.Event()
        self._asked = False
        self._stopping = threading.Event()
        self._read = self._seen = file.digest()
        self._thread = threading.Thread(target=self._run, name="config", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask(self) -> None:
        """Read the file soon, changed or not."""
        self._asked = True
        self._bell.set()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()
        self._bell.set()

    @property
    def alive(self) -> bool:
        """Whether it still watches, or was asked not to."""
        return self._thread.is_alive() or self._stopping.is_set()

    def look(self) -> None:
        """One look: read the file if it was asked for, or if it has changed and keeps still."""
        asked, self._asked = self._asked, False
        digest = self._file.digest()
        settled, self._seen = digest == self._seen, digest
        if asked or (settled and digest != self._read):
            self._read = digest
            self.reload()

    def reload(self) -> bool:
        """Read the file; whether it is good, and from the next poll on in effect."""
        try:
            config = self._file.load()
        except ConfigError as error:
            self._refuse(error)
            return False
        self._take(config)
        return True

    # How

    def _refuse(self, error: ConfigError) -> None:
        for line in str(error).splitlines():
            log.error(line)
        log.error("The config is wrong as it is written now; the one before stays in effect.")
        self._ours.config_refused()

    def _take(self, config: Config) -> None:
        now = self._duty.config
        for table in AT_START_ONLY:
            if changed := _changed(config, now, table):
                log.warning("[%s] %s: changed, and takes effect only with a restart.", table, ", ".join(changed))
        config = config.model_copy(update={table: getattr(now, table) for table in AT_START_ONLY})
        for warning in config.warnings():
            log.warning(warning)
        self._ours.config_loaded(self._clock.now(), poll_interval=config.poll.interval)
        if config == now:
            log.info("The config was read again; nothing in it has changed.")
        else:
            log.info("The config was read again; it takes effect with the next poll.")
            self._duty.reload(config)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._bell.clear()
            try:
                self.look()
            except Exception:  # the end of this thread's road: whoever looks at `alive` ends the process
                log.exception("The config cannot be watched any more; this process ends.")
                return
            self._clock.wait(LOOK_SECONDS, self._bell)


def _changed(new: Config, old: Config, table: str) -> list[str]:
    """The keys of a table that are not what they were."""
    one, other = getattr(new, table), getattr(old, table)
    return [key for key in type(one).model_fields if getattr(one, key) != getattr(other, key)]
