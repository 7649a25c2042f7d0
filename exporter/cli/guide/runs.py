"""`status` and `steps`: one run in full, and what it did, step by step.

Must not list runs (`exporter.cli.guide.executions`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from exporter.cli.guide import arguments
from exporter.cli.guide.account import signed_in
from exporter.cli.guide.arguments import form_options, run_options
from exporter.cli.guide.exits import Failed
from exporter.cli.guide.lookup import FoundRun, RunFinder
from exporter.cli.guide.output import Form, inert, instant_for_people, note, show, show_facts, show_json
from exporter.cli.guide.step_tree import MOST_CHILDREN, Branch, TreeReader
from exporter.cli.options import common_options
from exporter.core.durations import format_duration
from exporter.core.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from exporter.cli.guide.account import Account
    from exporter.maia.answers import Step


@click.command()
@click.argument("run_ids", metavar="RUN...", type=arguments.run_id, nargs=-1, required=True)
@run_options
@form_options
@common_options
def status(config_path: Path | None, run_ids: Sequence[str], project_name: str | None, form: Form) -> None:
    """Step 5 of the guide: how each RUN stands.

    A run's id is enough: its project is searched, first in the service's record where there is one. --plain prints
    the status alone. Exit 1 when a run cannot be found; the others are shown all the same.

    \b
    Example:
      maia-exporter status 4f2d1c3a-0b5e-4d6f-8a7b-9c0d1e2f3a4b
    """
    with signed_in(config_path) as account:
        finder = RunFinder(account, project_name=project_name)
        found: list[FoundRun] = []
        missing: list[str] = []
        for run_id in run_ids:
            try:
                found.append(finder.find(run_id))
            except Failed as error:
                missing.append(error.message)
        match form:
            case Form.JSON:
                show_json(each.record for each in found)
            case Form.PLAIN:
                for each in found:
                    click.echo(inert(each.run.status_text))
            case Form.TEXT:
                for number, each in enumerate(found):
                    if number:
                        click.echo()
                    show_facts(facts(account, each))
        if missing:
            raise Failed("\n".join(missing))


@click.command()
@click.argument("run_id", metavar="RUN", type=arguments.run_id)
@run_options
@form_options
@common_options
def steps(config_path: Path | None, run_id: str, project_name: str | None, form: Form) -> None:
    """Step 5 of the guide: the steps of a RUN, with those of the pipelines it calls.

    --json and --plain show the run's own steps; a called pipeline's run is in childPipeline.

    \b
    Example:
      maia-exporter steps 4f2d1c3a-0b5e-4d6f-8a7b-9c0d1e2f3a4b
    """
    with signed_in(config_path) as account:
        found = RunFinder(account, project_name=project_name).find(run_id)
        own = account.client.steps(found.project_id, run_id)
        reader = TreeReader(account, found.project_id)
        show(
            form,
            columns=("step", "status", "duration", "message"),
            rows=lambda: _rows(reader.whole(own), account.client.server_now()),
            records=own.records,
            plain=[each.name for each in own],
            prose=True,
        )
        if not own:
            note(f"the run has no steps (yet); it is {found.run.status_text}")
        if reader.left_out:
            note(f"it calls more than {MOST_CHILDREN} pipelines: the steps of {reader.left_out} more are not shown")


def facts(account: Account, found: FoundRun) -> list[tuple[str, str]]:
    """What people want to know of a run, a fact a line."""
    run = found.run
    return [
        ("run", run.run_id),
        ("status", run.status_text),
        ("pipeline", run.pipeline.pipeline_name),
        ("environment", run.pipeline.environment_name),
        ("project", account.project_name(found.project_id)),
        ("trigger", f"{run.trigger} ({run.user})" if run.user else str(run.trigger)),
        ("started", instant_for_people(run.started_at)),
        ("ended", instant_for_people(run.finished_at)),
        ("duration", lasted(run.started_at, run.finished_at, None if run.finished else account.client.server_now())),
        ("message", run.message),
        ("link", account.link(run.run_id)),
    ]


def lasted(started_at: datetime | None, finished_at: datetime | None, now: datetime | None) -> str:
    """How long it took, or goes on already at `now`; "" where that is not known."""
    until = finished_at or now
    if started_at is None or until is None:
        return ""
    return format_duration(max(until - started_at, timedelta()))


def _rows(branches: Sequence[Branch], now: datetime) -> Iterator[tuple[str, str, str, str]]:
    for lead, step in _tree(branches, "", top=True):
        going = now if step.status in (Status.RUNNING, Status.CANCELLING) else None
        yield lead, step.status_text, lasted(step.started_at, step.finished_at, going), step.message


def _tree(branches: Sequence[Branch], indent: str, *, top: bool = False) -> Iterator[tuple[str, Step]]:
    """Each step with the lines of the tree before its name."""
    for number, branch in enumerate(branches, 1):
        last = number == len(branches)
        bough, below = ("", "") if top else ("└─ " if last else "├─ ", "   " if last else "│  ")
        child = branch.step.child_pipeline_name
        yield f"{indent}{bough}{branch.step.name}" + (f" ({child})" if child else ""), branch.step
        yield from _tree(branch.below, indent + below)
