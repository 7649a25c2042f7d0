"""`projects`, `environments` and `pipelines`: steps 1 to 3 of the guide.

Must not know runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exporter.cli.guide.account import signed_in
from exporter.cli.guide.arguments import form_options, name
from exporter.cli.guide.lookup import find_project, unknown_environment
from exporter.cli.guide.output import Form, instant_for_people, note, show
from exporter.cli.options import common_options
from exporter.maia.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from exporter.cli.guide.account import Account
    from exporter.core.model import Project
    from exporter.maia.answers import Listing, PublishedPipeline


@click.command()
@form_options
@common_options
def projects(config_path: Path | None, form: Form) -> None:
    """Step 1 of the guide: the account's projects.

    \b
    Example:
      maia-exporter projects --plain | while read -r project; do maia-exporter environments "$project"; done
    """
    with signed_in(config_path) as account:
        found = account.projects()
    show(
        form,
        columns=("name", "id", "description"),
        rows=lambda: [(each.name, each.project_id, each.description) for each in found],
        records=found.records,
        plain=[each.name for each in found],
        prose=True,
    )
    _tell_gaps(found, "the account has no project that these credentials see")


@click.command()
@click.argument("project", type=name)
@form_options
@common_options
def environments(config_path: Path | None, project: str, form: Form) -> None:
    """Step 2 of the guide: a PROJECT's environments, each with its default runner (the API says agent).

    PROJECT is a name or an id.

    \b
    Example:
      maia-exporter environments Finance
    """
    with signed_in(config_path) as account:
        where = find_project(account, project)
        found = account.client.environments(where.project_id)
    show(
        form,
        columns=("name", "default runner", "runner id"),
        rows=lambda: [(each.name, each.default_agent_name, each.default_agent_id) for each in found],
        records=found.records,
        plain=[each.name for each in found],
    )
    _tell_gaps(found, f"{where.name} has no environment")


@click.command()
@click.argument("project", type=name)
@click.option("-e", "--environment", type=name, required=True, metavar="ENV", help="The environment, by name.")
@form_options
@common_options
def pipelines(config_path: Path | None, project: str, environment: str, form: Form) -> None:
    """Step 3 of the guide: what is published to an environment of a PROJECT, and when it was.

    PROJECT is a name or an id.

    \b
    Example:
      maia-exporter pipelines Finance -e prod
    """
    with signed_in(config_path) as account:
        where = find_project(account, project)
        found = _published(account, where, environment)
    show(
        form,
        columns=("name", "published"),
        rows=lambda: [(each.name, instant_for_people(each.published_at)) for each in found],
        records=found.records,
        plain=[each.name for each in found],
    )
    _tell_gaps(found, f"nothing is published to {environment} in {where.name}")


def _published(account: Account, project: Project, environment: str) -> Listing[PublishedPipeline]:
    """The published pipelines. An answer without any may mean an environment that is not there: then we look."""
    refusal: NotFound | None = None
    try:
        found = account.client.published_pipelines(project.project_id, environment)
    except NotFound as error:
        refusal = error
    else:
        if found:
            return found
    unknown = unknown_environment(account, project, environment)
    if unknown:
        raise unknown from refusal
    if refusal:
        raise refusal
    return found


def _tell_gaps(found: Listing[Any], empty: str) -> None:
    if found.rejected:
        first = found.rejected[0]
        note(f"{len(found.rejected)} could not be read and left out; the first: {first.path}: {first.reason}")
    elif not found:
        note(empty)
