"""The calls of the Maia API: each is whole or it raises a `MaiaError`.

Must not decide anything about runs: it reads, starts and asks to cancel what it is told to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from exporter.maia import paging, wire, wire_lists
from exporter.maia.answers import (
    Environment,
    Listing,
    PublishedPipeline,
    Rejection,
    RunPage,
    Schedule,
    Step,
)
from exporter.maia.fields import UnreadableError
from exporter.maia.queries import PAGE_LIMIT, ExecuteRequest, RunQuery
from exporter.maia.transport import Call, ServerTime, Transport

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from exporter.clock import Clock
    from exporter.core.model import Project, Run, Status
    from exporter.maia.settings import MaiaSettings
    from exporter.maia.watcher import ClientWatcher

T = TypeVar("T")

_RUNS = "/v1/pipeline-executions"
_PROJECTS = "/v1/projects"
_PROJECT_RUNS = "/v1/projects/{projectId}/pipeline-executions"
_RUN = _PROJECT_RUNS + "/{id}"


class MaiaClient:
    """One account's API, for one thread at a time (`server_time` and `server_now` for any). A context manager.

    Every call waits for the request budget. `deadline` bounds what is inside it; a call outside one waits at most two
    minutes for the budget or a `Retry-After`, and `request_timeout` for each answer. `stop` ends any wait at once.
    """

    def __init__(self, settings: MaiaSettings, *, clock: Clock, stop: threading.Event, watcher: ClientWatcher) -> None:
        self._transport = Transport(settings, clock=clock, stop=stop, watcher=watcher)
        self._watcher = watcher

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """`with client.deadline(20):` all calls inside, waits included, end within that time or raise."""
        return self._transport.deadline(seconds)

    def background(self, *, reserve: int) -> AbstractContextManager[None]:
        """`with client.background(reserve=10):` the calls inside leave that many requests to urgent ones."""
        return self._transport.background(reserve)

    @property
    def server_time(self) -> ServerTime | None:
        """The server's clock at its last answer, and ours then; None before the first with a `Date`."""
        return self._transport.server_time

    def server_now(self) -> datetime:
        """The server's clock now, the one `started_at` belongs to; our own before its first answer."""
        return self._transport.server_now()

    # Runs

    def list_runs(self, query: RunQuery, token: str | None = None, *, records: bool = False) -> RunPage:
        """One page, newest start first; `token` is the previous page's `more`, `records` keeps the API's objects."""
        call = Call(
            tried="list executions",
            endpoint=_RUNS,
            path=_RUNS,
            params=tuple(query.params(token)),
            project_id=query.project_id,
        )
        page = self._read(call, lambda body: wire.run_page(body, records=records))
        self._tell(page.rejected, page.unrecognised)
        return page

    def all_runs(self, query: RunQuery, *, records: bool = False) -> RunPage:
        """All pages as one, each run once as it was read last; whole, or it raises."""
        return paging.all_runs(lambda token: self.list_runs(query, token, records=records), tried="list executions")

    def get_run(self, project_id: str, run_id: str) -> Run:
        """One run in full. Raises NotFound."""
        return self.read_run(project_id, run_id)[0]

    def read_run(self, project_id: str, run_id: str) -> tuple[Run, Mapping[str, Any]]:
        """One run in full and the API's own object of it. Raises NotFound."""
        call = _about_run(f"read run {run_id}", project_id, run_id)
        run, notes, record = self._read(call, lambda body: wire.one_run(body, project_id=project_id, run_id=run_id))
        self._tell((), notes)
        return run, record

    def get_run_status(self, project_id: str, run_id: str) -> Status:
        """One run's status by the light call. Raises NotFound."""
        status, notes = self._read(
            _about_run(f"read the status of run {run_id}", project_id, run_id, "/status"), wire.run_status
        )
        self._tell((), notes)
        return status

    def steps(self, project_id: str, run_id: str) -> Listing[Step]:
        """One run's steps in the API's order. Raises NotFound."""
        return self._list(_about_run(f"list the steps of run {run_id}", project_id, run_id, "/steps"), wire_lists.step)

    def execute(self, project_id: str, request: ExecuteRequest) -> str:
        """Start a published pipeline; the new run's id. Never repeated by itself.

        Raises Conflict (a run with that tag still goes), Gone (disabled), NotFound (unknown or unpublished); after
        TimedOut, NetworkFailed, ServerFailed or BadAnswer it may have started.
        """
        call = Call(
            tried=f"start {request.pipeline_name} in {request.environment_name}",
            endpoint=_PROJECT_RUNS,
            path=_fill(_PROJECT_RUNS, project_id),
            method="POST",
            payload=request.payload(),
            project_id=project_id,
        )
        return self._read(call, wire.started_run_id)

    def cancel(self, project_id: str, run_id: str, *, force: bool) -> None:
        """Ask for a run's end; it comes later, or the run ends first. Never repeated by itself.

        Raises Refused, NotFound or Conflict when the API will not; after TimedOut, NetworkFailed or ServerFailed it may
        have been heard: read the run.
        """
        self._transport.send(
            Call(
                tried=f"cancel run {run_id}",
                endpoint=_RUN,
                path=_fill(_RUN, project_id, run_id),
                method="PATCH",
                payload={"status": "CANCELLED", "forceUpdate": force},
                project_id=project_id,
            )
        )

    # The lists of the guide

    def projects(self) -> Listing[Project]:
        """The account's projects."""
        return self._list(Call(tried="list projects", endpoint=_PROJECTS, path=_PROJECTS), wire_lists.project)

    def environments(self, project_id: str) -> Listing[Environment]:
        """A project's environments."""
        return self._list(_about_project("environments", project_id), wire_lists.environment)

    def published_pipelines(self, project_id: str, environment_name: str = "") -> Listing[PublishedPipeline]:
        """What can be started in a project, or in one environment of it."""
        params = (("environmentName", environment_name),) if environment_name else ()
        return self._list(_about_project("published-pipelines", project_id, params), wire_lists.published_pipeline)

    def schedules(self, project_id: str) -> Listing[Schedule]:
        """A project's schedules."""
        return self._list(_about_project("schedules", project_id), wire_lists.schedule)

    # How

    def _read(self, call: Call, decode: Callable[[bytes], T]) -> T:
        body = self._transport.send(call)
        try:
            return decode(body)
        except UnreadableError as error:
            raise self._transport.bad_answer(call, str(error), body) from error

    def _list(self, call: Call, read: wire_lists.Reader[T]) -> Listing[T]:
        def fetch(page: int) -> wire_lists.ListPage[T]:
            params = (*call.params, ("page", str(page)), ("size", str(PAGE_LIMIT)))
            found = self._read(replace(call, params=params), lambda body: wire_lists.list_page(body, read))
            self._tell(found.rejected, found.unrecognised)
            return found

        return paging.whole_list(fetch, tried=call.tried)

    def _tell(self, rejected: Iterable[Rejection], unrecognised: Iterable[tuple[str, str]]) -> None:
        for rejection in rejected:
            self._watcher.rejected(rejection)
        for field, value in unrecognised:
            self._watcher.unrecognised(field, value)


def _about_run(tried: str, project_id: str, run_id: str, below: str = "") -> Call:
    return Call(tried=tried, endpoint=_RUN + below, path=_fill(_RUN + below, project_id, run_id), project_id=project_id)


def _about_project(what: str, project_id: str, params: tuple[tuple[str, str], ...] = ()) -> Call:
    endpoint = f"{_PROJECTS}/{{projectId}}/{what}"
    return Call(
        tried=f"list the {what.replace('-', ' ')} of project {project_id}",
        endpoint=endpoint,
        path=_fill(endpoint, project_id),
        params=params,
        project_id=project_id,
    )


def _fill(endpoint: str, project_id: str, run_id: str = "") -> str:
    return endpoint.replace("{projectId}", quote(project_id, safe="")).replace("{id}", quote(run_id, safe=""))
