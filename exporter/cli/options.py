"""Options that every command takes, and how it comes by its config and its API client.

Must not hold a command's own logic.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from exporter.access import api_settings
from exporter.cli.log_options import log_options
from exporter.clock import SystemClock
from exporter.config.errors import ConfigError
from exporter.config.load import TABLES, from_environment, load
from exporter.config_file import ConfigFile
from exporter.logs import cover
from exporter.maia.client import MaiaClient
from exporter.maia.watcher import ClientWatcher, SilentWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from exporter.clock import Clock
    from exporter.config.root import Config
    from exporter.config.sections import MaiaSettings

log = logging.getLogger(__name__)

F = TypeVar("F", bound="Callable[..., Any]")

DEFAULT_CONFIG = "config.toml"


class WrongConfig(click.ClickException):
    """The config is wrong: every line of it, exit 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """One line a problem, nothing around it."""
        del file
        click.echo(self.message, err=True)


def common_options(command: F) -> F:
    """`--config`, `--log-level`, `--log-format`; the logging is set up before the command runs."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        default=None,
        metavar="FILE",
        help=f"The config file [default: {DEFAULT_CONFIG}].",
    )(log_options(command))


def read_config(path: Path | None, *, only: Collection[str] = TABLES) -> Config:
    """The config file's values, of some tables `only`. Raises WrongConfig."""
    try:
        config = load(path or Path(DEFAULT_CONFIG), os.environ, only=only)
    except ConfigError as error:
        raise WrongConfig(str(error)) from error
    cover(config.secrets())
    return config


def service_config_file(path: Path | None) -> ConfigFile:
    """Where the service's config is written."""
    return ConfigFile(path or Path(DEFAULT_CONFIG), os.environ)


def read_service_config(file: ConfigFile) -> Config:
    """The same for the service, which also has to be able to serve the targets. Raises WrongConfig."""
    try:
        return file.load()
    except ConfigError as error:
        raise WrongConfig(str(error)) from error


def read_account(path: Path | None) -> MaiaSettings:
    """[maia] of the config file or, where there is none, of the environment. Raises WrongConfig.

    What else is in the file, and the secrets of the targets, are not needed for it.
    """
    if path is None and not Path(DEFAULT_CONFIG).exists():
        try:
            account = from_environment(os.environ)
        except ConfigError as error:
            raise WrongConfig(str(error)) from error
        cover(account.secrets())
        return account
    return read_config(path, only=("maia",)).maia


def api_client(
    maia: MaiaSettings,
    *,
    stop: threading.Event | None = None,
    watcher: ClientWatcher | None = None,
    clock: Clock | None = None,
) -> MaiaClient:
    """A client of the account that [maia] describes."""
    return MaiaClient(
        api_settings(maia),
        clock=clock or SystemClock(),
        stop=stop or threading.Event(),
        watcher=watcher or SilentWatcher(),
    )


def fail(message: str) -> NoReturn:
    """End the command: it failed while running, exit 1."""
    raise click.ClickException(message)
