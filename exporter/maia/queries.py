"""What we ask of the API, as values: which runs, and what to start.

Must not send anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

PAGE_LIMIT = 100
"""The most records the API gives on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs to list; what is left out does not filter. Instants are aware, both ends included.

    `pipeline_name` is the API's case-insensitive *partial* match: `load` also finds `reload`.
    """

    statuses: tuple[str, ...] = ()
    project_id: str = ""
    environment_name: str = ""
    pipeline_name: str = ""
    started_after: datetime | None = None
    started_before: datetime | None = None
    limit: int = PAGE_LIMIT

    def params(self, token: str | None = None) -> list[tuple[str, str]]:
        """As query parameters, the same ones in the same order for every page."""
        params = [("status", str(status)) for status in self.statuses]
        texts = {
            "projectId": self.project_id,
            "environmentName": self.environment_name,
            "pipelineName": self.pipeline_name,
            "startedAfter": instant_text(self.started_after),
            "startedBefore": instant_text(self.started_before),
            "limit": str(self.limit),
            "paginationToken": token or "",
        }
        return params + [(name, text) for name, text in texts.items() if text]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRequest:
    """A published pipeline to start; without `version_name` the latest one published to the environment."""

    pipeline_name: str
    environment_name: str
    version_name: str = ""
    execution_tag: str = ""
    agent_id: str = ""
    scalar_variables: Mapping[str, str] = field(default_factory=dict)
    grid_variables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        """As the API's JSON object, without what is empty."""
        fields: dict[str, Any] = {
            "pipelineName": self.pipeline_name,
            "environmentName": self.environment_name,
            "versionName": self.version_name,
            "executionTag": self.execution_tag,
            "agentId": self.agent_id,
            "scalarVariables": dict(self.scalar_variables),
            "gridVariables": {name: [list(row) for row in rows] for name, rows in self.grid_variables.items()},
        }
        return {name: value for name, value in fields.items() if value}


def instant_text(at: datetime | None) -> str:
    """`2026-01-31T12:00:00Z`, with a fraction only where there is one; "" for None."""
    return "" if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
