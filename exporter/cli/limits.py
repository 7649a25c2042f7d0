"""`maia-exporter limits`: what limits would have done to the recorded runs, and closing the breaker.

Must not ask the API: it only looks into the record, beside a service that may be running.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from exporter.canceller.meaning import rules_of
from exporter.canceller.replaying import replayed
from exporter.cli.guide.arguments import duration, form_options
from exporter.cli.guide.output import Form, inert, instant_for_people, instant_for_programs, note, show_json, show_table
from exporter.cli.options import common_options, fail, read_config
from exporter.clock import SystemClock
from exporter.core.durations import format_duration
from exporter.core.limits.replay import summary
from exporter.core.limits.rules import Coverage
from exporter.store import cancellations, record
from exporter.store.database import Database
from exporter.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.config.root import Config
    from exporter.core.limits.replay import PastRun, Replayed


@click.group()
def limits() -> None:
    """Run-time limits: see what they would have done, resume after the breaker has opened."""


@limits.command(name="replay")
@click.option(
    "--since",
    type=duration,
    default="30d",
    show_default=True,
    metavar="DURATION",
    help="How far to look back, by the runs' starts.",
)
@form_options
@common_options
def replay(config_path: Path | None, since: timedelta, form: Form) -> None:
    """Show which recorded runs each limit would have warned about and cancelled, whatever its mode but warn.

    With --plain one run id a line: those that would have been cancelled.

    \b
    Example: maia-exporter limits replay --since 90d
    """
    config = read_config(config_path)
    if not config.limits:
        note("there are no [[limits]] in the config")
    now = SystemClock().now()
    with _record(config) as database, database.reading() as connection:
        known = record.load(connection)
        coverage = Coverage(rules_of(config), known.project_names)
        found = replayed(connection, coverage, since=now - since, now=now)
    matched = coverage.matched_pipelines(known.pipelines)
    match form:
        case Form.JSON:
            show_json(_as_json(each, coverage, pipelines=len(matched[each.rule.name])) for each in found)
        case Form.PLAIN:
            for each in found:
                for run in each.cancelled:
                    click.echo(inert(run.run_id))
        case Form.TEXT:
            for each in found:
                click.echo(inert(summary(each, pipelines=len(matched[each.rule.name]), over=format_duration(since))))
            if any(each.warned for each in found):
                click.echo()
                show_table(("limit", "would", "took", "started", "run", "status", "pipeline"), _rows(found))


@limits.command(name="resume")
@common_options
def resume(config_path: Path | None) -> None:
    """Close the breaker: limits ask runs to stop again, counting from nothing.

    \b
    Example: maia-exporter limits resume
    """
    with _record(read_config(config_path)) as database, database.transaction() as connection:
        before = cancellations.resume(connection)
    if before is None:
        click.echo("the breaker is closed already")
    else:
        click.echo(f"the breaker, open since {instant_for_people(before.opened_at)}, is closed")


@contextmanager
def _record(config: Config) -> Iterator[Database]:
    """The record, beside the service; what goes wrong with it ends the command."""
    try:
        database = Database.open(config.store.url.get_secret_value(), exclusive=False)
    except StoreError as error:
        fail(str(error))
    try:
        yield database
    except StoreError as error:
        fail(str(error))
    finally:
        database.close()


def _rows(found: tuple[Replayed, ...]) -> Iterator[tuple[str, ...]]:
    for each in found:
        cancelled = set(each.cancelled)
        for run in each.warned:
            yield (
                each.rule.name,
                "cancel" if run in cancelled else "warn",
                format_duration(run.took),
                instant_for_people(run.started_at),
                run.run_id,
                run.status,
                f"{run.pipeline.pipeline_name} in {run.pipeline.environment_name}",
            )


def _as_json(each: Replayed, coverage: Coverage, *, pipelines: int) -> dict[str, Any]:
    return {
        "limit": each.rule.name,
        "mode": each.rule.mode.value,
        "matchedPipelines": pipelines,
        "matchedRuns": each.matched,
        "wouldHaveWarned": [_run_as_json(run, coverage) for run in each.warned],
        "wouldHaveCancelled": [_run_as_json(run, coverage) for run in each.cancelled],
    }


def _run_as_json(run: PastRun, coverage: Coverage) -> dict[str, Any]:
    return {
        "pipelineExecutionId": run.run_id,
        "projectId": run.pipeline.project_id,
        "projectName": coverage.names.get(run.pipeline.project_id),
        "environmentName": run.pipeline.environment_name,
        "pipelineName": run.pipeline.pipeline_name,
        "trigger": run.trigger.value,
        "status": run.status,
        "startedAt": instant_for_programs(run.started_at),
        "seconds": run.took.total_seconds(),
    }
