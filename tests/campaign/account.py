"""The account in the simulator: makes runs, and knows what has become of each in the end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from e2e.processes import Simulator

SCRIPT = """
history = "0s"
requests_per_minute = 1000000
[answers]
fraction_digits = 6
[[projects]]
name = "Finance"
environments = ["prod", "test"]
{pipelines}
"""
PIPELINE = """
[[pipelines]]
project = "Finance"
name = "finance/{name}-{number}.orch.yaml"
environments = ["prod", "test"]
cancel_takes = "2s"
"""

LIMITS = """
[cancel]
max_per_hour = 100000
[[limits]]
name = "nightly"
environments = ["prod"]
pipelines = ["nightly-*"]
warn_after = "4s"
cancel_after = "8s"
force_after = "6s"
stuck_after = "8s"
mode = "{mode}"
allow_short = true
[[limits]]
name = "watched"
environments = ["prod"]
pipelines = ["watched-*"]
cancel_after = "5s"
mode = "observe"
allow_short = true
"""

EXPECTATIONS = """
[[expectations]]
pipelines = ["steady-*"]
success_within = "20s"
"""

WARN_AFTER, CANCEL_AFTER, FORCE_AFTER = 4.0, 8.0, 6.0
TRIGGERS = ("API", "SCHEDULE", "SCHEDULE_RUN_NOW")
UNFINISHED = ("RUNNING", "CANCELLING")


def script() -> str:
    """Twenty pipelines in each of two environments."""
    names = [(name, number) for name in ("load", "nightly", "watched", "free", "steady") for number in range(1, 5)]
    return SCRIPT.format(pipelines="".join(PIPELINE.format(name=name, number=number) for name, number in names))


def covered(run: dict[str, Any]) -> bool:
    """Whether the cancel-mode limit is about a run."""
    name = run["pipelineName"].rpartition("/")[2]
    return run["environmentName"] == "prod" and name.startswith("nightly-") and run["trigger"] in TRIGGERS


def expected(run: dict[str, Any]) -> bool:
    """Whether its pipeline is to succeed now and then."""
    return run["pipelineName"].rpartition("/")[2].startswith("steady-")


def instant(text: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


class Account:
    """Makes runs; `history` are those from before the first start, of which nobody is to be told."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.history: set[str] = set()
        self.made = 0

    def make(self, *, burst: int = 1, **what: Any) -> list[str]:
        """So many alike, now."""
        if what.get("status") == "FAILED":
            what = {"message": "ORA-00942: table or view does not exist", **what}
        made = [self.simulator.tell("runs", **what)["pipelineExecutionId"] for _ in range(burst)]
        self.made += burst
        return made

    def runs(self) -> dict[str, dict[str, Any]]:
        """All runs as they truly are."""
        return {run["pipelineExecutionId"]: run for run in self.simulator.truth()["runs"]}
