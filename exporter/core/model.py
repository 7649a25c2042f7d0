"""The nouns: statuses, triggers, pipelines, runs, and what one read of the API saw.

Must not know how the API spells them (`exporter.maia.wire`), how they are stored or shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Status(StrEnum):
    """A run's status, in the API's spelling; a word this version does not know is UNKNOWN."""

    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    FORBIDDEN = "FORBIDDEN"
    UNKNOWN = "UNKNOWN"


ACTIVE_STATUSES = (Status.RUNNING, Status.CANCELLING, Status.UNKNOWN)
"""What an unfinished run can show, in the order of the metric's label values."""

FINISHED_STATUSES = (
    Status.SUCCESS,
    Status.FAILED,
    Status.CANCELLED,
    Status.SKIPPED,
    Status.FORBIDDEN,
    Status.UNKNOWN,
)
"""What a finished run can show, in the order of the metric's label values."""

FAILURE_STATUSES = (Status.FAILED, Status.FORBIDDEN)
"""The ends that people are woken for."""


class Trigger(StrEnum):
    """What started a run; a word this version does not know is UNKNOWN."""

    DESIGNER = "DESIGNER"
    API = "API"
    SCHEDULE = "SCHEDULE"
    SCHEDULE_RUN_NOW = "SCHEDULE_RUN_NOW"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, order=True)
class PipelineKey:
    """Which pipeline, where: its path in one environment of one project. The API's words; "" where it said nothing."""

    project_id: str
    environment_name: str
    pipeline_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run (the API says *pipeline execution*) as one read showed it. Instants are aware, in UTC."""

    run_id: str
    pipeline: PipelineKey
    status: Status
    status_text: str  # as the API spelt it: differs from `status` only for a word we do not know
    trigger: Trigger = Trigger.UNKNOWN
    pipeline_type: str = ""
    user: str = ""
    schedule_id: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str = ""

    @property
    def finished(self) -> bool:
        """Whether it has ended. A status nobody knows counts as an end only when the run has one."""
        if self.status is Status.UNKNOWN:
            return self.finished_at is not None
        return self.status not in (Status.RUNNING, Status.CANCELLING)

    @property
    def duration_seconds(self) -> float:
        """Wall time from start to end in seconds; 0 where either is absent or the end lies before the start."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return max(0.0, (self.finished_at - self.started_at).total_seconds())

    def filled_from(self, other: Run) -> Run:
        """This read, with what it left out taken from another read of the same run; the end is never taken over."""
        mine, theirs = self.pipeline, other.pipeline
        return replace(
            self,
            pipeline=PipelineKey(
                mine.project_id or theirs.project_id,
                mine.environment_name or theirs.environment_name,
                mine.pipeline_name or theirs.pipeline_name,
            ),
            trigger=other.trigger if self.trigger is Trigger.UNKNOWN else self.trigger,
            pipeline_type=self.pipeline_type or other.pipeline_type,
            user=self.user or other.user,
            schedule_id=self.schedule_id or other.schedule_id,
            started_at=self.started_at or other.started_at,
            message=self.message or other.message,
        )


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the account."""

    project_id: str
    name: str
    description: str = ""
