"""Lists: which runs a page of list-executions holds, and pages of everything else.

Must not spell runs as JSON, nor know requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from exporter.simulator.index import TOP, Key
from exporter.simulator.query import ListQuery, make_token, read_token
from exporter.simulator.times import parse_instant, render_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exporter.simulator.account import Pipeline, Run
    from exporter.simulator.script import Answers
    from exporter.simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """How truthfully the list shows the world: as of an earlier instant, with late rows, with rows that shift."""

    as_of: datetime | None = None
    late: Mapping[str, Any] | None = None
    shifting: bool = False


def list_runs(world: World, query: ListQuery, answers: Answers, lens: Lens) -> tuple[list[Run], str | None]:
    """One page of runs, newest start first, and the token of the next page."""
    offset, below = 0, TOP
    if query.token:
        form, *place = read_token(query.token, query.fingerprint)
        if form == "offset":
            offset = int(place[0])
        else:
            below = (int(place[0]), parse_instant(place[1]), str(place[2]))
    page: list[Run] = []
    for run in _matching(world, query, answers, lens, below):
        if offset:
            offset -= 1
        elif len(page) == query.limit:
            return page, _next_token(world, query, answers, lens, page)
        else:
            page.append(run)
    return page, None


def _next_token(world: World, query: ListQuery, answers: Answers, lens: Lens, page: list[Run]) -> str:
    if lens.shifting or answers.page_tokens == "offset":
        before: list[Any] = read_token(query.token, query.fingerprint) if query.token else ["offset", 0]
        passed = int(before[1]) if before[0] == "offset" else 0
        return make_token(query.fingerprint, ["offset", passed + len(page)])
    rank, at, run_id = world.index.key(page[-1])
    return make_token(query.fingerprint, ["after", rank, render_instant(at, digits=6), run_id])


def _matching(world: World, query: ListQuery, answers: Answers, lens: Lens, below: Key) -> Iterator[Run]:
    after, before, as_of = query.started_after, query.started_before, lens.as_of
    loose = answers.undated_match_times
    if before is not None and not loose:
        below = min(below, (1, before, "~"))  # "~" sorts after every id
    statuses = query.statuses if query.statuses and as_of is None else None
    for run in world.index.newest_first(statuses=statuses, pipelines=_pipelines(world, query, answers), below=below):
        if not run.dated and (after or before) and not loose:
            continue
        if run.dated and before is not None and run.created_at > before:
            continue
        if run.dated and after is not None and run.created_at < after:
            if loose:
                continue
            return
        if as_of is not None and not _shown_then(run, query, as_of):
            continue
        if query.schedule_id and run.trigger != "SCHEDULE":
            continue
        if lens.late is not None and _late(run, lens.late, world.now):
            continue
        yield run


def _pipelines(world: World, query: ListQuery, answers: Answers) -> set[Pipeline] | None:
    hidden = not answers.list_forbidden_projects and any(each.forbidden for each in world.projects.values())
    if not (hidden or query.project_id or query.environment_name or query.pipeline_name or query.schedule_id):
        return None
    part = query.pipeline_name.casefold()
    return {
        pipeline
        for pipeline in world.pipelines.values()
        if part in pipeline.name.casefold()
        and query.project_id in ("", pipeline.project.project_id)
        and query.environment_name in ("", pipeline.environment)
        and query.schedule_id in ("", pipeline.schedule_id)
        and not (hidden and pipeline.project.forbidden)
    }


def _shown_then(run: Run, query: ListQuery, as_of: datetime) -> bool:
    if run.created_at > as_of:
        return False
    return not query.statuses or run.status_at(as_of) in query.statuses


def _late(run: Run, late: Mapping[str, Any], now: datetime) -> bool:
    if run.created_at + timedelta(seconds=late["seconds"]) <= now:
        return False
    return fnmatchcase(run.pipeline.name, late["pipeline"]) and int(run.run_id[:8], 16) / 2**32 < late["share"]


def page_of(items: Sequence[Any], page: int, size: int, answers: Answers, *, total: bool = True) -> dict[str, Any]:
    """A page of a page-wise list, in the documented envelope."""
    body: dict[str, Any] = {"page": page, "results": list(items[page * size : (page + 1) * size])}
    body["size"] = size if answers.page_counts else 0
    if total:
        body["total"] = len(items) if answers.page_counts else 0
    return body
