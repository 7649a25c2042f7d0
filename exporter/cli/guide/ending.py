"""Says how a run that somebody waited for has ended: status, time, the steps that failed, the link.

Must not wait, nor choose the exit code.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.cli.guide.output import inert
from exporter.cli.guide.step_tree import TreeReader, culprits
from exporter.core.durations import format_duration
from exporter.core.model import Status
from exporter.maia.errors import MaiaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.cli.guide.account import Account
    from exporter.cli.guide.lookup import FoundRun


def tell_end(account: Account, found: FoundRun, *, say: Callable[[str], None]) -> None:
    """Say it line by line."""
    run = found.run
    say(inert(f"{run.status_text} {_after(found)}".rstrip()))
    if run.status is not Status.SUCCESS:
        if run.message:
            say(f"  {inert(run.message)}")
        for line in _failed_steps(account, found):
            say(f"  {inert(line)}")
    say(f"link  {account.link(run.run_id)}")


def _after(found: FoundRun) -> str:
    if found.run.started_at is None or found.run.finished_at is None:
        return ""
    return f"after {format_duration(timedelta(seconds=found.run.duration_seconds))}"


def _failed_steps(account: Account, found: FoundRun) -> list[str]:
    lines: list[str] = []
    with suppress(MaiaError):  # the end itself is known and told: the exit code must not depend on more
        steps = account.client.steps(found.project_id, found.run.run_id)
        for path, step in culprits(TreeReader(account, found.project_id).failed(steps)):
            lines.append(f"step {path}: {step.status_text}" + (f": {step.message}" if step.message else ""))
    return lines
