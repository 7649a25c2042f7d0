"""`maia-exporter run`: the service."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import click

from exporter.app import App, serve
from exporter.cli.options import WrongConfig, common_options, fail, read_service_config, service_config_file
from exporter.config.errors import ConfigError
from exporter.heap import give_back
from exporter.store.errors import StoreError
from exporter.web.server import CannotListen

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


@click.command()
@common_options
def run(config_path: Path | None) -> None:
    """Watch the account: poll it, keep the record, serve metrics, tell people.

    \b
    Example: maia-exporter run --config config.toml
    """
    give_back()
    file = service_config_file(config_path)
    config = read_service_config(file)
    for warning in config.warnings():
        log.warning(warning)
    try:
        app = App(config, file=file)
        app.start()
    except ConfigError as error:  # the web config was still good a moment ago
        raise WrongConfig(str(error)) from error
    except (StoreError, CannotListen) as error:
        fail(str(error))
    sys.exit(serve(app))
