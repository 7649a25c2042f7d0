"""What the client gives back besides the core's own nouns: pages, lists, and the things of the guide.

Must not know how the API spells them (`exporter.maia.wire`, `exporter.maia.wire_lists`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from exporter.core.model import Run, Status

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that could not be used: where in the answer, why, and its run's id (project's, …) if it had one.

    `content` tells records without an id apart; nothing can be read from it.
    """

    path: str
    reason: str
    run_id: str = ""
    content: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """A page of runs, newest start first, or several pages in one (`MaiaClient.all_runs`, where `more` is None)."""

    runs: tuple[Run, ...]
    more: str | None = None  # the token of the next page
    rejected: tuple[Rejection, ...] = ()
    unrecognised: tuple[tuple[str, str], ...] = ()  # (the API's field name, what it held)
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False, compare=False)
    """By run id, in the API's own field names; filled only where it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """A whole list. `records[i]` is what the API said of `items[i]`, in its own field names."""

    items: tuple[T, ...]
    records: tuple[Mapping[str, Any], ...] = field(default=(), repr=False, compare=False)
    rejected: tuple[Rejection, ...] = ()
    unrecognised: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment of a project; the agent ("" where absent) is what runs its pipelines."""

    name: str
    default_agent_name: str = ""
    default_agent_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPipeline:
    """A pipeline that can be started in an environment."""

    name: str
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a pipeline starts by itself. Anything but the name may be absent ("" or None)."""

    name: str
    schedule_id: str = ""
    pipeline_name: str = ""
    environment_name: str = ""
    cron_expression: str = ""
    cron_timezone: str = ""
    enabled: bool | None = None
    next_run_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run. A step without times or status has not begun; "" and None where the API said nothing."""

    step_id: str = ""
    name: str = ""
    status: Status | None = None
    status_text: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str = ""
    child_run_id: str = ""  # the run of the pipeline that this step calls
    child_pipeline_name: str = ""
