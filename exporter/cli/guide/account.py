"""The account as a command of the guide sees it: its client, its projects by name, and errors in words.

Must not decide what a command does.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.cli.guide.exits import Failed
from exporter.cli.options import DEFAULT_CONFIG, WrongConfig, api_client, read_account
from exporter.maia.errors import Forbidden, MaiaError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.config.sections import MaiaSettings
    from exporter.core.model import Project
    from exporter.maia.answers import Listing
    from exporter.maia.client import MaiaClient


class Account:
    """One account while a command runs."""

    def __init__(self, client: MaiaClient, maia: MaiaSettings, config_path: Path | None) -> None:
        self.client = client
        self.config_path = config_path
        self._maia = maia
        self._projects: Listing[Project] | None = None
        self._names: dict[str, str] | None = None

    def projects(self) -> Listing[Project]:
        """The account's projects, listed once. Raises MaiaError."""
        if self._projects is None:
            self._projects = self.client.projects()
        return self._projects

    def project_name(self, project_id: str) -> str:
        """A project's name where it can be found out, else its id; asked for once, also when that fails."""
        if self._names is None:
            self._names = {}
            with suppress(MaiaError):
                self._names = {each.project_id: each.name for each in self.projects()}
        return self._names.get(project_id, project_id)

    def link(self, run_id: str) -> str:
        """Where people look at a run."""
        return self._maia.run_url.replace("{run_id}", run_id)

    def command(self, *words: str) -> str:
        """A command of ours for people to copy, with the config in use."""
        config = ("--config", str(self.config_path)) if self.config_path else ()
        return shlex.join(("maia-exporter", *words, *config))

    def explained(self, error: MaiaError) -> str:
        """What went wrong, in one line or two."""
        text = str(error)
        if isinstance(error, Forbidden) and error.project_id:
            return f'no rights in project "{self.project_name(error.project_id)}": {text}'
        if isinstance(error, Forbidden | Unauthorized):
            return f"{text}\n{self._where_hint()}"
        return text

    def _where_hint(self) -> str:
        if self._maia.region:
            return (
                f"asked in region {self._maia.region}; an account lives in one region (eu1, us1 or au1): "
                "if it is another, set MAIA_REGION, or region in [maia]"
            )
        return f"asked at {self._maia.api_url}; an account lives in one region: is it that one?"


@contextmanager
def signed_in(config_path: Path | None) -> Iterator[Account]:
    """The account that the config or the environment names; what the API refuses inside ends with exit code 1."""
    _let_every_character_out()
    maia = _settings(config_path)
    with api_client(maia) as client:
        account = Account(client, maia, config_path)
        try:
            yield account
        except MaiaError as error:
            raise Failed(account.explained(error)) from error


def _settings(config_path: Path | None) -> MaiaSettings:
    try:
        return read_account(config_path)
    except WrongConfig as error:
        if config_path is None and not Path(DEFAULT_CONFIG).exists():
            raise Failed(error.message) from error  # nothing was written wrongly: credentials are missing
        raise


def _let_every_character_out() -> None:
    """In a locale that lacks a character, an escape stands for it instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
