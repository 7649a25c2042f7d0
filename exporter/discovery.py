"""Lists projects, environments and published pipelines, a call at a time, so that it fits between two polls.

Must not keep pipelines: it yields what it found, and `exporter.core.roster` says what that means.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.core.globs import matches_name, matches_project
from exporter.core.roster import environments_of
from exporter.maia.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.core.globs import Scope
    from exporter.core.state import State
    from exporter.maia.client import MaiaClient

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """All that is published in one environment; nothing where the environment or its project is gone."""

    project_id: str
    environment_name: str
    names: frozenset[str]


class Discovery:
    """One account's lists. `names` are the projects' by id; `answered` tells which of them let us in."""

    def __init__(self, client: MaiaClient, scope: Scope) -> None:
        self._client = client
        self._scope = scope
        self._asked_for: set[str] = set()
        self.names: dict[str, str] = {}
        self.answered: dict[str, bool] = {}

    def list_projects(self) -> None:
        """Ask for the projects' names anew. Raises MaiaError; a refusal leaves the names as they were."""
        self._asked_for.clear()
        try:
            projects = self._client.projects()
        except Forbidden as error:
            log.warning("Projects cannot be listed, so they are shown by id: %s", error)
            return
        self.names = {project.project_id: project.name for project in projects}
        for project_id in [known for known in self.answered if known not in self.names]:
            del self.answered[project_id]

    def look_up(self, project_id: str) -> None:
        """Make sure that a project's name is known, if the API knows it; asks once per listing. Raises MaiaError."""
        if not project_id or project_id in self.names or project_id in self._asked_for:
            return
        self.list_projects()
        self._asked_for.add(project_id)

    def round(self, state: State) -> Iterator[Listed | None]:
        """Walk all that is in scope; one call (or a few pages) a step, None for a step that found nothing to tell.

        Raises MaiaError when a list cannot be had for another reason than a refusal; the walk is over then.
        """
        self.list_projects()
        yield None
        known = {key.project_id for key, pipeline in state.pipelines.items() if pipeline.listed_at is not None}
        for project_id in sorted(known - self.names.keys()) if self.names else ():
            for environment_name in environments_of(state, project_id):
                yield Listed(project_id, environment_name, frozenset())
        for project_id, name in sorted(self.names.items()):
            if matches_project(self._scope.projects, name=name, project_id=project_id):
                yield from self._project(project_id, state)

    def _project(self, project_id: str, state: State) -> Iterator[Listed | None]:
        try:
            environments = {environment.name for environment in self._client.environments(project_id)}
            self.answered[project_id] = True
            yield None
            for gone in environments_of(state, project_id) - environments:
                yield Listed(project_id, gone, frozenset())
            for name in sorted(environments):
                if matches_name(self._scope.environments, name):
                    published = self._client.published_pipelines(project_id, name)
                    # A record that could not be read may be any pipeline: such a list proves nobody's absence.
                    names = frozenset(pipeline.name for pipeline in published)
                    yield Listed(project_id, name, names) if not published.rejected else None
        except Forbidden as error:
            if self.answered.get(project_id, True):
                log.warning("A project refuses to be listed: %s", error)
            self.answered[project_id] = False
            yield None
        except NotFound as error:
            log.info("A project went away while it was listed: %s", error)
            yield None
