"""`maia-exporter check`: validates the config; `--live` also signs in and lists what scope and rules match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exporter.cli.check_rules import rule_lines
from exporter.cli.guide.output import inert
from exporter.cli.options import api_client, common_options, fail, read_service_config, service_config_file
from exporter.core.globs import matches_project
from exporter.core.model import PipelineKey
from exporter.core.scope import covers
from exporter.maia.errors import Forbidden, MaiaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.config.root import Config
    from exporter.maia.client import MaiaClient


@click.command()
@common_options
@click.option("--live", is_flag=True, help="Also sign in and list what the scope, limits and routes match.")
def check(config_path: Path | None, *, live: bool) -> None:
    """Check the config file: every mistake at once, with its place and a hint. Exit 2 if there is one.

    \b
    Example: maia-exporter check --live --config config.toml
    """
    config = read_service_config(service_config_file(config_path))
    click.echo(f"{config_path or 'config.toml'}: good")
    for warning in config.warnings():
        click.echo(f"warning: {warning}")
    if live:
        try:
            with api_client(config.maia) as client:
                _live(client, config)
        except MaiaError as error:
            fail(str(error))


def _live(client: MaiaClient, config: Config) -> None:
    names = {project.project_id: project.name for project in client.projects()}
    click.echo(f"signed in at {config.maia.api_url}: {len(names)} projects")
    skew = client.server_time.skew_seconds if client.server_time else 0.0
    if abs(skew) > 60:
        click.echo(f"warning: the API's clock and this machine's differ by {skew:.0f} s; limits refuse to act")
    matched: list[PipelineKey] = []
    for project_id, name in sorted(names.items(), key=lambda item: item[1]):
        if not matches_project(config.poll.projects, name=name, project_id=project_id):
            continue
        try:
            found = [key for key in _published(client, project_id) if covers(config.poll.scope, key, names)]
        except Forbidden as error:
            _say(f"  {name}: refused: {error}")
            continue
        matched += found
        _say(f"  {name}: {len(found)} published pipelines in scope")
        for key in sorted(found):
            _say(f"    {key.environment_name}: {key.pipeline_name}")
    for line in rule_lines(config, matched, names):
        _say(line)
    if not matched:
        click.echo("warning: the scope of [poll] matches no published pipeline")


def _published(client: MaiaClient, project_id: str) -> Iterator[PipelineKey]:
    for environment in client.environments(project_id):
        for pipeline in client.published_pipelines(project_id, environment.name):
            yield PipelineKey(project_id, environment.name, pipeline.name)


def _say(line: str) -> None:
    """What the API calls things is text that may hold anything."""
    click.echo(inert(line))
