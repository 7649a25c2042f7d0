"""The service's config where it is written: reads it as a start does, and says when it has changed.

It has changed when the content of the file has, or of a file that it names for a secret, whatever editors, mounts and
symbolic links do to get it there. Must not know what a new config means.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.config.errors import ConfigError, Problem
from exporter.config.load import load
from exporter.config.secret_files import secret_files
from exporter.logs import cover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exporter.config.root import Config

_MOST = 1_048_576
"""Bytes of a file that are looked at."""


class ConfigFile:
    """A config file, with the environment that fills it in."""

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        self.path = path
        self._env = env
        self._secrets: set[str] = set()  # of all configs that were read: an earlier one is still in use for a while

    def load(self) -> Config:
        """The config, sound as far as can be told without asking anybody. Raises ConfigError with all that is wrong."""
        config = load(self.path, self._env)
        self._secrets.update(config.secrets())
        cover(self._secrets)
        problems: list[Problem] = []
        if config.targets:
            from exporter.apprise_channel import check_targets  # loads Apprise: only where there are targets

            problems += check_targets(config.targets)
        if config.web.config_file:
            problems += _problems_of_the_web_config(Path(config.web.config_file))
        if problems:
            raise ConfigError(str(self.path), problems)
        return config

    def digest(self) -> bytes:
        """What stands for the content of all files; another one means that something has changed."""
        content = _content(self.path)
        found = hashlib.sha256(content)
        for file in secret_files(content.decode(errors="replace"), env=self._env, folder=self.path.absolute().parent):
            found.update(str(file).encode())
            found.update(hashlib.sha256(_content(file)).digest())
        return found.digest()


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except (OSError, ValueError) as error:  # the latter for a NUL in the path
        return type(error).__name__.encode()


def _problems_of_the_web_config(path: Path) -> Iterator[Problem]:
    from exporter.web.entrance.web_config import read  # loads a YAML reader: only where there is YAML

    for problem in read(path).problems:
        where = f"{path}: {problem.key}" if problem.key else str(path)
        yield Problem("[web]", "config_file", f"{where}: {problem.what}", problem.hint)
