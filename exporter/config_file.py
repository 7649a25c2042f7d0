"""The service's config where it is written: reads it as a start does, and says when it has changed.

It has changed when the content of the file has, or of a file that it names for a secret, whatever editors, mounts and
symbolic links do to get it there. Must not know what a new config means.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.config.errors import Problem
from exporter.config.load import load
from exporter.config.secret_files import secret_files
from exporter.config.sections import WebSettings
from exporter.logs import cover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.config.entry import Entry
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
        config = load(self.path, self._env, also=_problems_beyond)
        self._secrets.update(config.secrets())
        cover(self._secrets)
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


def _problems_beyond(entries: Mapping[str, Sequence[Entry]]) -> Iterator[Problem]:
    """What is wrong where the config leads to: the targets' URLs, the web config."""
    for entry in entries.get("targets", ()):
        if "url" not in entry.broken:
            from exporter.apprise_channel import problem_of  # loads Apprise: only where there are targets

            if problem := problem_of(entry.table["url"]):
                yield entry.problem("url", *problem)
    for entry in entries.get("web", ()):
        web = entry.part(WebSettings, "config_file")
        if web is not None and web.config_file:
            yield from _problems_of_the_web_config(Path(web.config_file))


def _problems_of_the_web_config(path: Path) -> Iterator[Problem]:
    from exporter.web.entrance.web_config import read  # loads a YAML reader: only where there is YAML

    for problem in read(path).problems:
        where = f"{path}: {problem.key}" if problem.key else str(path)
        yield Problem("[web]", "config_file", f"{where}: {problem.what}", problem.hint)
