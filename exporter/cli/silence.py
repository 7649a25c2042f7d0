"""`maia-exporter silence add|list|end`: keep quiet about some pipelines for a while.

Works while the service runs, and when it does not. What is silenced is recorded and counted, and never sent later.
"""

from __future__ import annotations

import getpass
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from exporter.cli.guide.arguments import form_options
from exporter.cli.guide.output import Form, instant_for_people, instant_for_programs, note, show
from exporter.cli.options import common_options, fail
from exporter.cli.outbox_access import store_of
from exporter.clock import SystemClock
from exporter.core.durations import DurationError, parse_duration
from exporter.core.silences import Silence
from exporter.store import silences

if TYPE_CHECKING:
    from pathlib import Path

_ID_BYTES = 4


@click.group()
def silence() -> None:
    """Keep quiet about some pipelines for a while."""


def _duration(_: click.Context, __: click.Parameter, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except DurationError as error:
        raise click.BadParameter(f"{error.what}; {error.hint}") from error


def _glob(_: click.Context, __: click.Parameter, text: str) -> str:
    if not text:
        raise click.BadParameter('is empty and can never match; leave it out, or write "*" for everything')
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""


@silence.command()
@click.option("--project", default="*", metavar="G", callback=_glob, help="Projects, by name or id: a glob.")
@click.option("--environment", default="*", metavar="G", callback=_glob, help="Environments: a glob.")
@click.option("--pipeline", default="*", metavar="G", callback=_glob, help="Pipelines, as in routes: a glob.")
@click.option("--for", "duration", required=True, metavar="D", callback=_duration, help='How long, such as "2h".')
@click.option("--author", default=_user, show_default="your user name", help="Who says so.")
@click.option("--comment", default="", help="Why.")
@common_options
def add(
    config_path: Path | None,
    *,
    project: str,
    environment: str,
    pipeline: str,
    duration: timedelta,
    author: str,
    comment: str,
) -> None:
    """Begin a silence now, and print its id.

    \b
    Example: maia-exporter silence add --pipeline "nightly-*" --for 2h --comment "warehouse is being moved"
    """
    now = SystemClock().now()
    new = Silence(
        silence_id=secrets.token_hex(_ID_BYTES),
        starts_at=now,
        ends_at=now + duration,
        project=project,
        environment=environment,
        pipeline=pipeline,
        author=author,
        comment=comment,
    )
    with store_of(config_path) as database, database.transaction() as connection:
        silences.add(connection, new)
    click.echo(new.silence_id)
    if (project, environment, pipeline) == ("*", "*", "*"):
        note("This silences every pipeline; --project, --environment and --pipeline narrow it down.")


@silence.command(name="list")
@form_options
@common_options
def list_(config_path: Path | None, *, form: Form) -> None:
    """List the silences that hold now.

    \b
    Example: maia-exporter silence list --json
    """
    with store_of(config_path) as database, database.reading() as connection:
        found = silences.active(connection, SystemClock().now())
    show(
        form,
        columns=("id", "project", "environment", "pipeline", "until", "author", "comment"),
        rows=lambda: [
            (
                each.silence_id,
                each.project,
                each.environment,
                each.pipeline,
                instant_for_people(each.ends_at),
                each.author,
                each.comment,
            )
            for each in found
        ],
        records=[_record(each) for each in found],
        plain=[each.silence_id for each in found],
        prose=True,
    )


@silence.command()
@click.argument("silence_id", metavar="ID")
@common_options
def end(config_path: Path | None, silence_id: str) -> None:
    """End a silence now.

    \b
    Example: maia-exporter silence end 420f47ba
    """
    with store_of(config_path) as database, database.transaction() as connection:
        ended = silences.end(connection, silence_id, now=SystemClock().now())
    if not ended:
        fail(f"no silence {silence_id} holds now; maia-exporter silence list shows them")
    click.echo(f"ended {silence_id}")


def _record(each: Silence) -> dict[str, Any]:
    return {
        "id": each.silence_id,
        "project": each.project,
        "environment": each.environment,
        "pipeline": each.pipeline,
        "starts_at": instant_for_programs(each.starts_at),
        "ends_at": instant_for_programs(each.ends_at),
        "author": each.author,
        "comment": each.comment,
    }
