"""The account's nouns while the world turns: projects, pipelines, runs.

Must not decide anything: `exporter.simulator.world` does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.simulator.script import CancelManner, PipelineSpec, ProjectSpec

UNFINISHED = ("RUNNING", "CANCELLING")


def named_id(*key: object) -> str:
    """A UUID that is the same for the same key."""
    text = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:]}"


@dataclass(slots=True, eq=False)
class Project:
    """A project; `forbidden` = calls for it get 403; `denied` = environments that the runner's allow list lacks."""

    project_id: str
    name: str
    spec: ProjectSpec
    forbidden: bool = False
    denied: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Pipeline:
    """One pipeline in one environment."""

    project: Project
    environment: str
    name: str
    spec: PipelineSpec
    schedule_id: str
    published_at: datetime
    published: bool = True
    disabled: bool = False

    @property
    def scheduled(self) -> bool:
        """Whether a schedule starts it."""
        return self.spec.every is not None and any(word == "SCHEDULE" for word, _ in self.spec.triggers)


@dataclass(slots=True, eq=False, kw_only=True)
class Run:
    """One execution: what is planned for it, and what has become of it."""

    run_id: str
    pipeline: Pipeline
    created_at: datetime  # when the API first knows it; its start, unless it is undated
    ends_at: datetime | None  # planned, then actual; None = never by itself
    outcome: str  # the status it ends with
    trigger: str
    cancel: CancelManner
    user: str = ""
    message: str = ""
    dated: bool = True
    status: str = "RUNNING"
    unheard_of: bool = False  # unfinished under a status that nobody knows
    asked_at: datetime | None = None  # when it was first asked to end
    forced: bool = False
    tag: str = ""
    parent: Run | None = None
    children: tuple[Run, ...] = ()

    @property
    def started_at(self) -> datetime | None:
        """Its start as the API tells it."""
        return self.created_at if self.dated else None

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.status not in UNFINISHED and not self.unheard_of

    @property
    def finished_at(self) -> datetime | None:
        """Its end as the API tells it."""
        return self.ends_at if self.finished and self.dated else None

    def status_at(self, at: datetime) -> str:
        """What its status was at an earlier instant, not before its creation."""
        if self.finished and self.ends_at is not None and self.ends_at <= at:
            return self.status
        if self.asked_at is not None and self.asked_at <= at and self.cancel != "ignores":
            return "CANCELLING"
        return "RUNNING"
