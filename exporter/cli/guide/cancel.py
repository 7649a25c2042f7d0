"""`cancel`: step 6 of the guide. Shows the run, asks, requests its end, and says what the API reports then.

Must not call a run cancelled that the API does not report as cancelled.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

import click

from exporter.cli.guide import arguments
from exporter.cli.guide.account import signed_in
from exporter.cli.guide.arguments import run_options
from exporter.cli.guide.ending import tell_end
from exporter.cli.guide.exits import Failed, Interrupted
from exporter.cli.guide.follow import follow
from exporter.cli.guide.lookup import FoundRun, RunFinder
from exporter.cli.guide.output import is_terminal, show_facts
from exporter.cli.guide.runs import facts
from exporter.cli.options import common_options
from exporter.core.model import Status
from exporter.maia.errors import Conflict, Gone, MaiaError, NotFound, Refused, Retryable

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.cli.guide.account import Account

_PATIENCE = 10.0
"""Seconds in which an answer must come through a pipe: one that stays silent must not hold a script for ever."""


@click.command()
@click.argument("run_id", metavar="RUN", type=arguments.run_id)
@click.option("--force", is_flag=True, help="End it by force, without letting it clean up.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Follow the run until the API reports its end.")
@run_options
@common_options
def cancel(
    *, config_path: Path | None, run_id: str, force: bool, yes: bool, wait: bool, project_name: str | None
) -> None:
    """Step 6 of the guide: end a RUN that goes on.

    Shows the run and asks first; the answer may come through a pipe. Without --yes and without an answer nothing is
    done. A run that has finished is left alone. The API takes the request and ends the run some time later, or the
    run ends by itself before that: --wait tells which. Exit 0 when the run has ended or was asked to end.

    \b
    Example:
      maia-exporter cancel 4f2d1c3a-0b5e-4d6f-8a7b-9c0d1e2f3a4b --wait
    """
    with signed_in(config_path) as account:
        found = RunFinder(account, project_name=project_name).find(run_id)
        show_facts(facts(account, found))
        if found.run.finished:
            click.echo(f"\nIt has finished ({found.run.status_text}): there is nothing to cancel.")
            return
        if found.run.status is Status.CANCELLING and not force:
            click.echo("\nIt has been asked to end already; --force ends it by force.")
        else:
            if not yes:
                _ask(force=force)
            found = request_end(account, found, force=force)
            click.echo(_requested(found))
        if wait and not found.run.finished:
            found = _wait(account, found)
            tell_end(account, found, say=click.echo)


def request_end(account: Account, found: FoundRun, *, force: bool) -> FoundRun:
    """Ask for a run's end; the run as it reads afterwards. Raises Failed when it goes on unasked, and MaiaError."""
    run_id = found.run.run_id
    try:
        account.client.cancel(found.project_id, run_id, force=force)
    except (Refused, NotFound, Conflict, Gone):
        after = _read_again(account, found)
        if after.run.finished:
            return after
        raise
    except Retryable as error:
        after = _read_again(account, found)
        if after.run.finished or after.run.status is Status.CANCELLING:
            return after  # it was heard
        again = account.command("cancel", run_id)
        raise Failed(f"{error}\nit is still {after.run.status_text}; to ask again: {again}") from error
    try:
        return _read_again(account, found)
    except MaiaError as error:
        look = account.command("status", run_id)
        raise Failed(f"it was asked to end, but then could not be read: {error}\nlook: {look}") from error


def _read_again(account: Account, found: FoundRun) -> FoundRun:
    return FoundRun(found.project_id, *account.client.read_run(found.project_id, found.run.run_id))


def _requested(found: FoundRun) -> str:
    if found.run.finished:
        return f"It has ended: {found.run.status_text}."
    return f"Asked to end; it is {found.run.status_text} now."


def _wait(account: Account, found: FoundRun) -> FoundRun:
    try:
        return follow(account, found.project_id, found.run.run_id)
    except KeyboardInterrupt:
        look = account.command("status", found.run.run_id)
        raise Interrupted(f"no longer waiting; the run has been asked to end; how it stands: {look}") from None


def _ask(*, force: bool) -> None:
    """Go on after a yes. Raises Failed after anything else."""
    click.echo(f"\n{'End this run by force' if force else 'Cancel this run'}? [y/N] ", err=True, nl=False)
    answer = _answer()
    if not is_terminal(sys.stdin):
        click.echo(err=True)  # what came through a pipe did not end the question's line
    if answer is None:
        raise Failed("nobody answered, so nothing was done; --yes cancels without asking")
    if answer.strip().lower() not in ("y", "yes"):
        raise Failed("nothing was done")


def _answer() -> str | None:
    """A line from a terminal or a pipe; None when there is no answer."""
    stdin = sys.stdin
    if stdin is None or stdin.closed:
        return None
    if not stdin.isatty() and not select.select([stdin], [], [], _PATIENCE)[0]:
        return None
    return stdin.readline() or None
