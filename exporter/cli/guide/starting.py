"""Starts a pipeline once, and says in words what the API answers when it does not.

Must not start anything twice: what may have happened is told, never tried again.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from exporter.cli.guide.exits import Failed, Interrupted, TagTaken
from exporter.cli.guide.lookup import unknown_environment, unknown_pipeline
from exporter.cli.guide.pages import newest_runs
from exporter.core.model import Trigger
from exporter.maia.errors import (
    BadAnswer,
    Conflict,
    Gone,
    MaiaError,
    NetworkFailed,
    NotFound,
    Refused,
    ServerFailed,
    TimedOut,
)
from exporter.maia.queries import RunQuery

if TYPE_CHECKING:
    from exporter.cli.guide.account import Account
    from exporter.cli.guide.lookup import FoundRun
    from exporter.core.model import Project
    from exporter.maia.queries import ExecuteRequest

_LOOKED_AT = 500  # unfinished runs of the environment in which the tag's run is looked for
_NAMED = 5


def start(account: Account, project: Project, request: ExecuteRequest) -> str:
    """The new run's id. Raises Failed, and MaiaError where nothing was started and no more is known."""
    try:
        return account.client.execute(project.project_id, request)
    except Conflict as error:
        if not request.execution_tag:
            raise
        raise _tag_conflict(account, project, request) from error
    except Gone as error:
        where = f"{request.environment_name} ({project.name})"
        raise Failed(f"{request.pipeline_name} is disabled in {where}: nothing was started") from error
    except (NotFound, Refused) as error:
        raise (_unknown_name(account, project, request) or error) from error
    except (TimedOut, NetworkFailed, ServerFailed, BadAnswer) as error:
        raise Failed(f"{error}\n{_doubt(account, project, request)}") from error
    except KeyboardInterrupt:
        raise Interrupted(_doubt(account, project, request)) from None


def _unknown_name(account: Account, project: Project, request: ExecuteRequest) -> Failed | None:
    with suppress(MaiaError):
        return unknown_environment(account, project, request.environment_name) or unknown_pipeline(
            account, project, request.environment_name, request.pipeline_name
        )
    return None


def _doubt(account: Account, project: Project, request: ExecuteRequest) -> str:
    look = account.command(
        "executions",
        *("--project", project.project_id, "--environment", request.environment_name),
        *("--pipeline", request.pipeline_name, "--trigger", "API", "--since", "10m"),
    )
    if request.execution_tag:
        why = "it may have started; the same --tag starts no second one while that run goes"
    else:
        why = "it may have started, and without a --tag could start twice, so it was not tried again"
    return f"{why}; look: {look}"


def _tag_conflict(account: Account, project: Project, request: ExecuteRequest) -> TagTaken:
    text = f'a run with tag "{request.execution_tag}" is still going in {request.environment_name}'
    holders: list[FoundRun] = []
    with suppress(MaiaError):  # the conflict itself is certain
        holders = _holders(account, project, request)
    ids = ", ".join(found.run.run_id for found in holders[:_NAMED])
    if len(holders) == 1:
        return TagTaken(f"{text}: {ids} ({holders[0].run.pipeline.pipeline_name})")
    if holders:
        return TagTaken(f"{text}, probably one of these: {ids}")
    return TagTaken(f"{text}; the list does not show it (yet)")


def _holders(account: Account, project: Project, request: ExecuteRequest) -> list[FoundRun]:
    """The unfinished runs that can have the tag: by the record's own word where it has one, else by how they began."""
    query = RunQuery(
        statuses=("RUNNING", "CANCELLING"), project_id=project.project_id, environment_name=request.environment_name
    )
    going = list(islice(newest_runs(account.client, query), _LOOKED_AT))
    told = [found for found in going if found.record.get("executionTag") == request.execution_tag]
    if told:
        return told
    started = [found for found in going if found.run.trigger is Trigger.API]
    alike = [found for found in started if found.run.pipeline.pipeline_name == request.pipeline_name]
    return alike or started
