"""From what people write to what the API knows: a project by name or id, a run by its bare id, the nearest names.

Names are taken exactly: what is only similar is suggested, never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from exporter.cli.guide.arguments import is_id
from exporter.cli.guide.exits import Failed
from exporter.cli.guide.recorded import recorded_project
from exporter.core.model import Project
from exporter.maia.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.cli.guide.account import Account
    from exporter.core.model import Run

_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as it was read just now, where it is, and the API's own object of it."""

    project_id: str
    run: Run
    record: Mapping[str, Any]


def find_project(account: Account, name_or_id: str) -> Project:
    """The project of that id or exact name. Raises Failed, with the nearest names, and MaiaError."""
    try:
        projects = account.projects().items
    except Forbidden:
        if not is_id(name_or_id):
            raise
        return Project(name_or_id.lower(), name_or_id)  # its rights may reach one project and not the list of them
    found = [each for each in projects if each.project_id.lower() == name_or_id.lower()]
    found = found or [each for each in projects if each.name == name_or_id]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.project_id for each in found)
        raise Failed(f'{len(found)} projects are called "{name_or_id}"; use an id: {ids}')
    raise Failed(f'there is no project "{name_or_id}"; {nearest(name_or_id, (each.name for each in projects))}')


def unknown_environment(account: Account, project: Project, name: str) -> Failed | None:
    """What to say when the project has no such environment; None when it has."""
    names = [each.name for each in account.client.environments(project.project_id)]
    if name in names:
        return None
    return Failed(f'there is no environment "{name}" in {project.name}; {nearest(name, names)}')


def unknown_pipeline(account: Account, project: Project, environment: str, name: str) -> Failed | None:
    """What to say when no such pipeline is published to the environment; None when one is."""
    names = [each.name for each in account.client.published_pipelines(project.project_id, environment)]
    if name in names:
        return None
    return Failed(f'"{name}" is not published to {environment} in {project.name}; {nearest(name, names)}')


class RunFinder:
    """Finds runs by their bare ids: asks the record first where there is one, then project after project."""

    def __init__(self, account: Account, *, project_name: str | None = None) -> None:
        self._account = account
        self._only = find_project(account, project_name) if project_name else None
        self._likely: list[str] = []  # where earlier runs were found: people ask for several of one project

    def find(self, run_id: str) -> FoundRun:
        """The run, read now. Raises Failed when it is nowhere, and MaiaError."""
        if self._only:
            return self._read_in_the_named(self._only, run_id)
        refused: list[str] = []
        for project_id in self._candidates(run_id):
            try:
                found = self._read(project_id, run_id)
            except NotFound:
                continue
            except Forbidden:
                refused.append(self._account.project_name(project_id))
                continue
            if project_id in self._likely:
                self._likely.remove(project_id)
            self._likely.insert(0, project_id)
            return found
        raise Failed(self._nowhere(run_id, refused))

    def _read_in_the_named(self, project: Project, run_id: str) -> FoundRun:
        try:
            return self._read(project.project_id, run_id)
        except NotFound as error:
            raise Failed(
                f"there is no run {run_id} in {project.name}; without --project all projects are searched"
            ) from error

    def _read(self, project_id: str, run_id: str) -> FoundRun:
        run, record = self._account.client.read_run(project_id, run_id)
        return FoundRun(project_id, run, record)

    def _candidates(self, run_id: str) -> Iterable[str]:
        """Project ids, the likely ones first, each once; the list of projects is read only when it is needed."""
        told: set[str] = set()
        recorded = recorded_project(self._account.config_path, run_id) if not self._likely else None
        for project_id in [recorded, *self._likely]:
            if project_id and project_id not in told:
                told.add(project_id)
                yield project_id
        yield from (each.project_id for each in self._account.projects() if each.project_id not in told)

    def _nowhere(self, run_id: str, refused: list[str]) -> str:
        count = len(self._account.projects())
        searched = f"any of the {count} projects" if count != 1 else "the one project"
        text = f"there is no run {run_id} in {searched} that these credentials see"
        return f"{text}; no rights in {', '.join(refused)}" if refused else text


def nearest(word: str, known: Iterable[str]) -> str:
    """The names most like `word`, as the end of an error message."""
    names = list(dict.fromkeys(known))
    if not names:
        return "there is none at all"
    best = nlargest(_SUGGESTIONS, names, key=lambda name: _likeness(word.casefold(), name.casefold()))
    return f"nearest: {', '.join(best)}" + (f" (of {len(names)})" if len(names) > len(best) else "")


def _likeness(word: str, name: str) -> float:
    """Of two texts in one case; the last part of a path counts as much as the whole, with and without its extension."""
    last = name.rsplit("/", 1)[-1]
    forms = {name, last, last.split(".", 1)[0]}
    return max(SequenceMatcher(None, form, word, autojunk=False).ratio() for form in forms)
