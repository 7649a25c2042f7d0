"""The web config in force: follows its files while we serve, and keeps what was in force when a new one is no good.

Must not open what was closed: a half-written file may look as if it asked for no password.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from exporter.config.errors import ConfigError
from exporter.web.entrance.web_config import read

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.web.entrance.tls import Tls
    from exporter.web.entrance.web_config import WebConfig

log = logging.getLogger(__name__)

_STAYS = "The web config has changed and cannot be used; what was in force stays."


class WebConfigInForce:
    """Looks at its files whenever it is asked, and reads them again when they have changed. For one thread."""

    def __init__(self, path: Path) -> None:
        """Read it for the first time. Raises `ConfigError`."""
        reading = read(path)
        if reading.problems:
            raise ConfigError(str(path), reading.problems)
        self._path = path
        self._files = reading.files
        self._config = reading.config

    def now(self) -> WebConfig:
        """What is in force from now on."""
        if self._files.changed():
            self._read_again()
        return self._config

    def tls_now(self) -> Tls:
        """What the next handshake needs. Only where TLS is on, which does not change."""
        if (tls := self.now().tls) is None:
            raise RuntimeError("there is no TLS to shake hands with")
        return tls

    @property
    def has_tls(self) -> bool:
        """Whether we serve HTTPS; that does not change while we serve."""
        return self._config.tls is not None

    def _read_again(self) -> None:
        reading = read(self._path)
        self._files = reading.files  # whatever comes of it, said once: until they change again
        new, old = reading.config, self._config
        if reading.problems:
            log.error(_STAYS, extra={"problem": str(ConfigError(str(self._path), reading.problems))})
        elif (new.tls is None) != (old.tls is None):
            what = f"TLS is to be switched {'off' if new.tls is None else 'on'}, which needs a restart"
            log.error(_STAYS, extra={"problem": f"{self._path}: {what}"})
        elif old.signs_in and not new.signs_in:
            log.error(_STAYS, extra={"problem": f"{self._path}: sign-in is to be switched off, which needs a restart"})
        else:
            self._config = new
            log.info("The web config has changed, and is in force.", extra={"file": str(self._path)})
