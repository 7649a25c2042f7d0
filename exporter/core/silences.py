"""Silences: what nobody is told for a while, because somebody has said so. Recorded all the same, never sent later.

Pure. Must not know how silences are kept.
"""

from __future__ import annotations

# The names in annotations are imported for good: the store's decoder reads the annotations.
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from exporter.core.globs import matches_name, matches_pipeline, matches_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.core.model import PipelineKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One silence; it begins with its first instant and is over at its last. The matchers are one glob each."""

    silence_id: str
    starts_at: datetime
    ends_at: datetime
    project: str = "*"  # held against the name and the id
    environment: str = "*"
    pipeline: str = "*"
    author: str = ""
    comment: str = ""

    def active(self, now: datetime) -> bool:
        """Whether it holds at `now`."""
        return self.starts_at <= now < self.ends_at

    def covers(self, key: PipelineKey, *, project: str) -> bool:
        """Whether it is about this pipeline; `project` is the name of its project, "" when unknown."""
        return (
            matches_name((self.environment,), key.environment_name)
            and matches_project((self.project,), name=project, project_id=key.project_id)
            and matches_pipeline((self.pipeline,), key.pipeline_name)
        )


def silence_of(silences: Iterable[Silence], key: PipelineKey, *, project: str, now: datetime) -> Silence | None:
    """The silence that covers a pipeline now: the one that lasts longest, None where there is none."""
    covering = [silence for silence in silences if silence.active(now) and silence.covers(key, project=project)]
    return max(covering, key=lambda silence: (silence.ends_at, silence.silence_id), default=None)
