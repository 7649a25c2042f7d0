"""`execute`: step 4 of the guide. Starts a published pipeline and, with `--wait`, follows it to its end.

Must not decide what an answer of the API means (`exporter.cli.guide.starting`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exporter.cli.guide.account import signed_in
from exporter.cli.guide.arguments import duration, form_options, name, runner_id
from exporter.cli.guide.cancel import request_end
from exporter.cli.guide.ending import tell_end
from exporter.cli.guide.exits import Failed, Interrupted, TimePassed
from exporter.cli.guide.follow import StillGoing, follow
from exporter.cli.guide.lookup import find_project
from exporter.cli.guide.output import Form, inert, note, show_json
from exporter.cli.guide.starting import start
from exporter.cli.guide.variables import grids, scalars
from exporter.cli.options import common_options
from exporter.core.durations import format_duration
from exporter.core.model import Status
from exporter.maia.errors import MaiaError
from exporter.maia.queries import ExecuteRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from exporter.cli.guide.account import Account
    from exporter.cli.guide.lookup import FoundRun


@click.command()
@click.argument("project", type=name)
@click.argument("pipeline", type=name)
@click.option("-e", "--environment", type=name, required=True, metavar="ENV", help="The environment, by name.")
@click.option("--version", type=name, metavar="V", help="A published version [default: the latest].")
@click.option("--tag", type=name, help="Refuse to start while a run with this tag goes there (exit 4).")
@click.option("--agent", type=runner_id, help="The id of the runner to use [default: the environment's].")
@click.option(
    "--var", "variables", multiple=True, callback=scalars, metavar="NAME=VALUE", help="A variable; repeat it for more."
)
@click.option(
    "--grid",
    "tables",
    multiple=True,
    callback=grids,
    metavar="NAME=FILE.csv",
    help="A grid variable: every line a row, no header.",
)
@click.option("--wait", is_flag=True, help="Follow the run to its end; exit 0 only on SUCCESS.")
@click.option("--timeout", type=duration, help="Stop waiting after this long (exit 3).")
@click.option("--cancel-on-timeout", is_flag=True, help="Then ask for the run's end.")
@form_options
@common_options
def execute(
    *,
    config_path: Path | None,
    project: str,
    pipeline: str,
    environment: str,
    version: str | None,
    tag: str | None,
    agent: str | None,
    variables: Mapping[str, str],
    tables: Mapping[str, Sequence[Sequence[str]]],
    wait: bool,
    timeout: timedelta | None,
    cancel_on_timeout: bool,
    form: Form,
) -> None:
    """Step 4 of the guide: start a published PIPELINE of a PROJECT, and print the run's id.

    PROJECT is a name or an id; PIPELINE the whole name, folders and all. Nothing is ever started twice by itself: when
    no answer came, it says how to look. With --plain the id is all that standard output gets. Ctrl-C while waiting
    leaves the run alone (exit 130).

    \b
    Example:
      maia-exporter execute Finance finance/fx-rates.tran.yaml -e prod --tag nightly --var day=2026-01-31 --wait
    """
    if (timeout or cancel_on_timeout) and not wait:
        raise click.UsageError("--timeout and --cancel-on-timeout go with --wait")
    if cancel_on_timeout and not timeout:
        raise click.UsageError("--cancel-on-timeout goes with --timeout")
    request = ExecuteRequest(
        pipeline_name=pipeline,
        environment_name=environment,
        version_name=version or "",
        execution_tag=tag or "",
        agent_id=agent or "",
        scalar_variables=variables,
        grid_variables=tables,
    )
    with signed_in(config_path) as account:
        where = find_project(account, project)
        run_id = start(account, where, request)
        started = _Started(account, where.project_id, run_id, form)
        started.tell(f"Started {pipeline} in {environment} ({where.name})", waiting=wait)
        if wait:
            started.wait(timeout, cancel=cancel_on_timeout)


class _Started:
    """A run that this command started."""

    def __init__(self, account: Account, project_id: str, run_id: str, form: Form) -> None:
        self._account, self._project_id, self._run_id, self._form = account, project_id, run_id, form

    def tell(self, what: str, *, waiting: bool) -> None:
        match self._form:
            case Form.PLAIN:
                click.echo(inert(self._run_id))
            case Form.JSON if waiting:
                note(f"{what}\nrun   {self._run_id}")  # the array comes at the end
            case Form.JSON:
                show_json([{"pipelineExecutionId": self._run_id}])
            case Form.TEXT:
                click.echo(f"{inert(what)}\nrun   {inert(self._run_id)}")
                if not waiting:
                    click.echo(f"link  {self._account.link(self._run_id)}")

    def wait(self, timeout: timedelta | None, *, cancel: bool) -> None:
        """Follow it, say how it ended, and leave with the exit code that this has."""
        try:
            found = follow(self._account, self._project_id, self._run_id, timeout=timeout)
        except StillGoing as passed:
            found = self._time_passed(passed.last, format_duration(timeout) if timeout else "", cancel=cancel)
        except KeyboardInterrupt:
            stop = self._account.command("cancel", self._run_id)
            raise Interrupted(f"no longer waiting; the run goes on; to cancel it: {stop}") from None
        except MaiaError as error:
            look = self._account.command("status", self._run_id)
            raise Failed(f"{self._account.explained(error)}\nthe run may go on; look: {look}") from error
        tell_end(self._account, found, say=click.echo if self._form is Form.TEXT else note)
        self._show_record(found)
        if found.run.status is not Status.SUCCESS:
            raise click.exceptions.Exit(1)

    def _time_passed(self, last: FoundRun | None, waited: str, *, cancel: bool) -> FoundRun:
        """The run, if it turns out to have ended meanwhile; else leave, with what is known of it."""
        if not last:
            raise self._passed(f"{waited} passed, and the run could not be read: whether it still runs is not known")
        text = f"{waited} passed, and the run still goes on ({last.run.status_text})"
        if not cancel:
            self._show_record(last)
            raise self._passed(f"{text}; to cancel it: {self._account.command('cancel', self._run_id)}")
        try:
            after = request_end(self._account, last, force=False)
        except (MaiaError, Failed) as error:
            reason = error.message if isinstance(error, Failed) else self._account.explained(error)
            raise self._passed(f"{text}; it could not be cancelled: {reason}") from error
        if after.run.finished and after.run.status is not Status.CANCELLED:
            return after
        self._show_record(after)
        raise self._passed(f"{text}; it was asked to end and is {after.run.status_text} now")

    def _show_record(self, found: FoundRun) -> None:
        if self._form is Form.JSON:
            show_json([found.record])

    def _passed(self, text: str) -> TimePassed:
        return TimePassed(f"{text}\nlink  {self._account.link(self._run_id)}")
