"""`maia-exporter once`: one poll, the metrics on standard output; sends, cancels and stores nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from exporter.cli.options import api_client, common_options, fail, read_config
from exporter.clock import SystemClock
from exporter.watch import House, build_watch
from exporter.web.health import Readiness

if TYPE_CHECKING:
    from pathlib import Path

DISCOVERY_SECONDS = 60.0


@click.command()
@common_options
def once(config_path: Path | None) -> None:
    """Poll once and print the metrics; for cron, for CI, and to see what a scrape would show.

    \b
    Example: maia-exporter once > maia.prom
    """
    config = read_config(config_path)
    clock = SystemClock()
    house = House.of(config, clock=clock, readiness=Readiness())
    with api_client(config.maia, watcher=house.oddities, clock=clock) as client:
        watch = build_watch(config, house, client, relief=threading.Event())
        good = watch.poller.poll()
        if good:
            watch.chores.discover_all(seconds=DISCOVERY_SECONDS)
    click.echo(house.exposition.page("", "").body.decode(), nl=False)
    if not good:
        fail("the poll failed; the reason is in the log above")
