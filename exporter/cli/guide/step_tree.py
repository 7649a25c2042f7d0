"""A run's steps with those of the pipelines it calls, as a tree.

Must not show anything. A child whose steps cannot be read is a leaf.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.core.model import Status
from exporter.maia.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.cli.guide.account import Account
    from exporter.maia.answers import Step

MOST_CHILDREN = 200
"""Child runs whose steps are read for one tree: a loop can call thousands."""

_DEEPEST = 20
_WELL = (Status.SUCCESS, Status.SKIPPED, Status.RUNNING, Status.CANCELLING)


@dataclass(frozen=True, slots=True)
class Branch:
    """A step, and the steps of the run that it called."""

    step: Step
    below: tuple[Branch, ...] = ()


class TreeReader:
    """Reads trees of one project; `left_out` counts the child runs beyond `MOST_CHILDREN`."""

    def __init__(self, account: Account, project_id: str) -> None:
        self._account = account
        self._project_id = project_id
        self._children = 0
        self.left_out = 0

    def whole(self, steps: Iterable[Step]) -> tuple[Branch, ...]:
        """The tree below these steps. Raises MaiaError."""
        return tuple(self._branch(step, only_failed=False, above=()) for step in steps)

    def failed(self, steps: Iterable[Step]) -> tuple[Branch, ...]:
        """What did not end well: the same tree with such steps alone. Raises MaiaError."""
        return tuple(self._branch(step, only_failed=True, above=()) for step in steps if failed(step))

    def _branch(self, step: Step, *, only_failed: bool, above: tuple[str, ...]) -> Branch:
        child = step.child_run_id
        if not child or child in above or len(above) >= _DEEPEST:
            return Branch(step)
        if self._children >= MOST_CHILDREN:
            self.left_out += 1
            return Branch(step)
        self._children += 1
        steps: Iterable[Step] = ()
        with suppress(NotFound, Forbidden):
            steps = self._account.client.steps(self._project_id, child)
        return Branch(
            step,
            tuple(
                self._branch(each, only_failed=only_failed, above=(*above, child))
                for each in steps
                if failed(each) or not only_failed
            ),
        )


def failed(step: Step) -> bool:
    """Whether a step ended, and not well."""
    return step.status is not None and step.status not in _WELL


def culprits(branches: Iterable[Branch], above: tuple[str, ...] = ()) -> Iterator[tuple[str, Step]]:
    """The failed steps that no deeper one explains, each with the path of names that leads to it."""
    for branch in branches:
        path = (*above, branch.step.name)
        if branch.below:
            yield from culprits(branch.below, path)
        else:
            yield " > ".join(path), branch.step
