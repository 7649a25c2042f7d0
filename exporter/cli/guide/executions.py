"""`executions`: step 5 of the guide for many runs, newest first, as many as were asked for and no page more.

Must not read single runs (`exporter.cli.guide.runs`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

import click

from exporter.cli.guide.account import signed_in
from exporter.cli.guide.arguments import form_options, instant, name
from exporter.cli.guide.lookup import find_project, unknown_environment
from exporter.cli.guide.output import Form, instant_for_people, note, show
from exporter.cli.guide.pages import newest_runs
from exporter.cli.guide.runs import lasted
from exporter.cli.options import common_options
from exporter.clock import SystemClock
from exporter.core.model import Status, Trigger
from exporter.maia.queries import PAGE_LIMIT, RunQuery

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.cli.guide.account import Account
    from exporter.cli.guide.lookup import FoundRun
    from exporter.core.model import Project

_COLUMNS = ("status", "started", "duration", "pipeline", "environment", "project", "trigger", "run")


@click.command()
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(list(Status), case_sensitive=False),
    metavar="STATUS",
    help=f"Only runs with this status ({', '.join(Status)}); repeat it for more.",
)
@click.option("--project", "project_name", type=name, metavar="PROJECT", help="By name or id.")
@click.option("-e", "--environment", type=name, metavar="ENV", help="By name.")
@click.option("--pipeline", type=name, metavar="NAME", help="By its whole name, folders and all.")
@click.option("--match", is_flag=True, help="--pipeline is a part of the name, in any case.")
@click.option(
    "--trigger",
    "triggers",
    multiple=True,
    type=click.Choice(list(Trigger), case_sensitive=False),
    metavar="TRIGGER",
    help=f"Only runs started so ({', '.join(Trigger)}); repeat it for more.",
)
@click.option("--since", type=instant, help="Started at or after this instant, or this long ago.")
@click.option("--until", type=instant, help="Started at or before this instant, or this long ago.")
@click.option("--limit", type=click.IntRange(min=1), default=25, show_default=True, help="At most so many runs.")
@form_options
@common_options
def executions(
    *,
    config_path: Path | None,
    statuses: tuple[Status, ...],
    project_name: str | None,
    environment: str | None,
    pipeline: str | None,
    match: bool,
    triggers: tuple[Trigger, ...],
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    limit: int,
    form: Form,
) -> None:
    """Step 5 of the guide: the account's runs, newest start first.

    Instants are ISO 8601, in UTC unless they say otherwise. Runs without a start (some FORBIDDEN ones) are found
    without --since and --until only.

    \b
    Examples:
      maia-exporter executions --status FAILED --status FORBIDDEN --since 1d
      maia-exporter executions --project Finance -e prod --pipeline load --match --limit 5 --json
    """
    if match and not pipeline:
        raise click.UsageError("--match goes with --pipeline")
    started_after, started_before = _window(since, until, now=SystemClock().now())
    with signed_in(config_path) as account:
        project = find_project(account, project_name) if project_name else None
        query = RunQuery(
            statuses=tuple(dict.fromkeys(map(str, statuses))),
            project_id=project.project_id if project else "",
            environment_name=environment or "",
            pipeline_name=pipeline or "",
            started_after=started_after,
            started_before=started_before,
            limit=PAGE_LIMIT if triggers or (pipeline and not match) else min(limit, PAGE_LIMIT),
        )
        wanted = (
            found
            for found in newest_runs(account.client, query)
            if (match or not pipeline or found.run.pipeline.pipeline_name == pipeline)
            and (not triggers or found.run.trigger in triggers)
        )
        shown = list(islice(wanted, limit))
        _show(account, form, shown)
        if not shown:
            _explain_nothing(account, project, environment, exactly=None if match else pipeline)


def _window(
    since: datetime | timedelta | None, until: datetime | timedelta | None, *, now: datetime
) -> tuple[datetime | None, datetime | None]:
    first, last = (_instant(moment, now) for moment in (since, until))
    if first and last and first > last:
        raise click.UsageError("--since is later than --until")
    return first, last


def _instant(moment: datetime | timedelta | None, now: datetime) -> datetime | None:
    """`moment` itself, or that long ago, in whole seconds as the API writes them."""
    if not isinstance(moment, timedelta):
        return moment
    try:
        return now.replace(microsecond=0) - moment
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _show(account: Account, form: Form, shown: list[FoundRun]) -> None:
    show(
        form,
        columns=_COLUMNS,
        rows=lambda: (_row(account, found, account.client.server_now()) for found in shown),
        records=[found.record for found in shown],
        plain=[found.run.run_id for found in shown],
    )


def _row(account: Account, found: FoundRun, now: datetime) -> tuple[str, ...]:
    run = found.run
    return (
        run.status_text,
        instant_for_people(run.started_at),
        lasted(run.started_at, run.finished_at, None if run.finished else now),
        run.pipeline.pipeline_name,
        run.pipeline.environment_name,
        account.project_name(found.project_id),
        str(run.trigger),
        run.run_id,
    )


def _explain_nothing(
    account: Account, project: Project | None, environment: str | None, *, exactly: str | None
) -> None:
    """Nothing may mean a name that is not there."""
    if project and environment and (unknown := unknown_environment(account, project, environment)):
        raise unknown
    hint = f'; none is called exactly "{exactly}" (--match looks for a part of the name)' if exactly else ""
    note(f"no such run{hint}")
