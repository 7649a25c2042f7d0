"""Which pipelines somebody wants to see: the filter of the page, as its URL says it.

What is not understood is no filter: a link from another version must still show something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from exporter.core.model import FINISHED_STATUSES
from exporter.web.page.pipelines import NEEDS_SOMEBODY, Health

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.web.page.pipelines import PipelineRow

_LONGEST = 200  # characters of a search


def _last_was(status: str) -> Callable[[PipelineRow], bool]:
    return lambda row: row.last_status == status


STATUSES: dict[str, tuple[str, Callable[[PipelineRow], bool]]] = {
    "attention": ("needs attention", lambda row: row.health in NEEDS_SOMEBODY),
    "broken": ("broken: last run failed", lambda row: row.health is Health.BROKEN),
    "running": ("running now", lambda row: row.active_runs > 0),
    "over_limit": ("over a limit", lambda row: row.over_limit > 0),
    "overdue": ("overdue", lambda row: row.overdue),
    **{status.value: (f"last run {status.value}", _last_was(status.value)) for status in FINISHED_STATUSES},
    "never": ("never ran", lambda row: row.last_status is None),
}
"""What the filter by status knows: the word in the URL -> its words for people, and whether a row has it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter; "" for what does not matter."""

    text: str = ""
    project: str = ""
    environment: str = ""
    status: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """The filter of a URL's query."""
        status = query.get("status", "")
        return cls(
            text=query.get("q", "").strip()[:_LONGEST],
            project=query.get("project", "")[:_LONGEST],
            environment=query.get("environment", "")[:_LONGEST],
            status=status if status in STATUSES else "",
        )

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return self != _EVERYTHING

    def takes(self, row: PipelineRow) -> bool:
        """Whether a pipeline is wanted; the text may stand anywhere in its names, word by word."""
        if self.project not in ("", row.project_name) or self.environment not in ("", row.environment_name):
            return False
        if self.status and not STATUSES[self.status][1](row):
            return False
        names = f"{row.pipeline_name} {row.project_name} {row.environment_name}".casefold()
        return all(word in names for word in self.text.casefold().split())

    def query(self) -> str:
        """The query that says it, with its question mark; "" for everything."""
        said = {"q": self.text, "project": self.project, "environment": self.environment, "status": self.status}
        query = urlencode({name: value for name, value in said.items() if value})
        return f"?{query}" if query else ""


_EVERYTHING = Wanted()
