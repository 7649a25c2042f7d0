"""Lists projects, environments and published pipelines, a call at a time, so that it fits between two polls.

Must not keep pipelines: it tells what it found, and `exporter.core.roster` says what that means.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from exporter.core.globs import Scope, matches_name, matches_project
from exporter.core.roster import environments_of
from exporter.maia.errors import Forbidden, MaiaError, NotFound, RateLimited, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.core.state import State
    from exporter.maia.client import MaiaClient

log = logging.getLogger(__name__)

TRIES = 3
"""How often a step of a round may fail before the round goes on without it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What is published in one environment; nothing where the environment or its project is gone."""

    project_id: str
    environment_name: str
    names: frozenset[str]
    whole: bool = True  # False: a record could not be read, and may be any pipeline


class Discovery:
    """One account's lists. `names` are the projects' by id; `answered` tells which of them let us in."""

    def __init__(self, client: MaiaClient, scope: Scope) -> None:
        self._client = client
        self._scope = scope
        self._asked_for: set[str] = set()
        self._failed = False  # names could not be had since the last poll began
        self._complained = False
        self.listed = False
        """Whether the API has said which projects there are, or that we may not know."""
        self.names: dict[str, str] = {}
        self.answered: dict[str, bool] = {}
        self.refused: frozenset[str] = frozenset()
        """The projects whose runs the last poll was not allowed to read."""

    def begin_poll(self) -> None:
        """From now on names that could not be had may be asked for again."""
        self._failed = False

    def list_projects(self) -> None:
        """Ask for the projects' names anew. Raises MaiaError; a refusal leaves the names as they were."""
        self._failed = True
        try:
            projects = self._client.projects()
        except Forbidden as error:
            self.complain(error)
            self._failed, self.listed = False, True
            return
        self._failed, self.listed, self._complained = False, True, False
        self.names = {project.project_id: project.name for project in projects}
        for project_id in [known for known in self.answered if known not in self.names]:
            del self.answered[project_id]

    def look_up(self, project_id: str) -> None:
        """Make sure that a project's name is known, if the API knows it. Raises MaiaError.

        Asks once a project and round of discovery, and no more in a poll that could not get an answer.
        """
        if self._failed or not project_id or project_id in self.names or project_id in self._asked_for:
            return
        self.list_projects()
        self._asked_for.add(project_id)

    def complain(self, error: MaiaError) -> None:
        """Say once that names cannot be had."""
        if not self._complained:
            log.warning("Project names cannot be had now, so new projects are shown by id: %s", error)
        self._complained = True

    def round(self, state: State) -> Round:
        """Begin to walk all that is in scope."""
        self._asked_for.clear()
        return Round(self, state)

    def environments(self, project_id: str) -> frozenset[str] | None:
        """A project's environments; None when it does not let us in. Raises MaiaError."""
        try:
            found = frozenset(environment.name for environment in self._client.environments(project_id))
        except Forbidden as error:
            self._shut_out(project_id, error)
            return None
        self.answered[project_id] = True
        return found

    def published(self, project_id: str, environment_name: str) -> Listed | None:
        """What is published in an environment; None when its project does not say. Raises MaiaError."""
        try:
            published = self._client.published_pipelines(project_id, environment_name)
        except Forbidden as error:
            self._shut_out(project_id, error)
            return None
        names = frozenset(pipeline.name for pipeline in published)
        return Listed(project_id, environment_name, names, whole=not published.rejected)

    def has_in_scope(self, project_id: str) -> bool:
        """Whether a listed project is in scope."""
        return matches_project(self._scope.projects, name=self.names[project_id], project_id=project_id)

    def watches_environment(self, name: str) -> bool:
        """Whether an environment of this name is in scope."""
        return matches_name(self._scope.environments, name)

    def _shut_out(self, project_id: str, error: Forbidden) -> None:
        if self.answered.get(project_id, True):
            log.warning("A project refuses to be listed: %s", error)
        self.answered[project_id] = False


class Round:
    """One walk over all lists, a call (or a few pages) a step; true while there are steps to take.

    A step that fails is taken again after the others, `TRIES` times; then the round ends without it.
    """

    def __init__(self, discovery: Discovery, state: State) -> None:
        self._discovery = discovery
        self._state = state
        self._steps: deque[Callable[[], list[Listed]]] = deque([self._projects])
        self._failures: dict[Callable[[], list[Listed]], int] = {}

    def __bool__(self) -> bool:
        return bool(self._steps)

    def step(self) -> list[Listed]:
        """Take the next step; what it found. Raises MaiaError."""
        ask = self._steps.popleft()
        try:
            return ask()
        except (Stopped, RateLimited):
            self._steps.appendleft(ask)
            raise
        except MaiaError:
            self._failures[ask] = failures = self._failures.get(ask, 0) + 1
            if failures < TRIES or ask == self._projects:
                self._steps.append(ask)
            raise

    def _projects(self) -> list[Listed]:
        discovery = self._discovery
        discovery.list_projects()
        names = discovery.names
        self._steps += [partial(self._project, each) for each in sorted(names) if discovery.has_in_scope(each)]
        gone = {key.project_id for key in self._state.pipelines} - names.keys() if names else set()
        return [
            Listed(project_id, environment, frozenset())
            for project_id in sorted(gone)
            for environment in sorted(environments_of(self._state, project_id))
        ]

    def _project(self, project_id: str) -> list[Listed]:
        try:
            environments = self._discovery.environments(project_id)
        except NotFound as error:
            log.info("A project went away while it was listed: %s", error)
            return []
        if environments is None:
            return []
        wanted = [name for name in sorted(environments) if self._discovery.watches_environment(name)]
        self._steps += [partial(self._environment, project_id, name) for name in wanted]
        gone = environments_of(self._state, project_id) - environments
        return [Listed(project_id, name, frozenset()) for name in sorted(gone)]

    def _environment(self, project_id: str, name: str) -> list[Listed]:
        try:
            listed = self._discovery.published(project_id, name)
        except NotFound as error:
            log.info("An environment went away while it was listed: %s", error)
            return []
        return [] if listed is None else [listed]
