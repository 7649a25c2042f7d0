"""What a script says: the account, its pipelines, what happens when, and how the API answers.

Plain data; `exporter.simulator.reader` makes it from TOML. Durations and instants are *script time*, which `--speed`
divides, except where a comment says real time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any


class CancelManner(StrEnum):
    """What a running run does when somebody asks it to end."""

    OBEYS = "obeys"  # CANCELLING, then CANCELLED
    FINISHES = "finishes"  # CANCELLING, then its own outcome comes first
    IGNORES = "ignores"  # stays RUNNING until asked by force
    DEAF = "deaf"  # CANCELLING until asked by force, or until its own end
    IMMORTAL = "immortal"  # CANCELLING, even by force


@dataclass(slots=True, kw_only=True)
class Answers:
    """The API's dialect: one setting for each thing the documentation leaves open. Can be changed while it runs."""

    wrapped_run: bool = True  # a run by id as {"result": {...}}, else bare
    run_omits_project_id: bool = False
    nulls: bool = False  # absent fields as null
    fraction_digits: int | None = None  # 0 to 6 at least; None: 0 up to speed 1, 3 above it
    mixed_times: bool = False  # 1 to 6 digits and several offsets, by run
    zone: str = "Z"  # or "", "+00:00", "+02:00"
    undated_forbidden: bool = False  # FORBIDDEN runs carry no times
    undated_order: str = "last"  # where undated runs stand in lists: "first", "last", "created"
    undated_match_times: bool = False  # undated runs pass startedAfter and startedBefore
    status_values: str = "all"  # more than one status: "all", "refuse", "first", "last"
    html_errors: bool = False
    steps_total: bool = True
    page_counts: bool = True  # False: size 0 and total 0 beside results
    agent_id_key: str = "defaultAgentId"  # or "defaultAgentID"
    cancel_finished: int = 409  # PATCH on a finished run: 200, 400, 404, 409
    retry_after: str = "seconds"  # or "date"
    list_forbidden_projects: bool = False  # the account-wide list shows runs of projects that are refused
    page_tokens: str = "key"  # or "offset": rows shift while paging


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSpec:
    """A project and its environments; the script calls it by its key, the API by its name."""

    key: str
    name: str
    environments: tuple[str, ...]
    description: str = ""
    agent: str = ""  # default agent of its environments; "" = absent
    forbidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """How one pipeline lives, in one or more environments."""

    project: str
    environments: tuple[str, ...]
    name: str
    count: int = 1  # so many alike; {n} in the name is their number, from 1
    type: str = "ORCHESTRATION"
    every: timedelta | None = None  # mean gap between starts; None: runs only when called, executed or told
    jitter: float = 0.5  # share of `every` that a start can be late
    duration: timedelta = timedelta(minutes=5)
    spread: float = 0.3  # durations vary by this share, both ways
    outcomes: tuple[tuple[str, float], ...] = (("SUCCESS", 1.0),)  # status or HANG, weight
    messages: tuple[str, ...] = ()  # of failures
    triggers: tuple[tuple[str, float], ...] = (("SCHEDULE", 1.0),)
    users: tuple[str, ...] = ("ada@example.com",)
    steps: tuple[str, ...] = ("Start", "Extract", "Transform", "Load")
    calls: tuple[str, ...] = ()  # pipelines of the same environment that each run starts
    published: bool = True
    disabled: bool = False
    cancel: CancelManner = CancelManner.OBEYS
    cancel_takes: timedelta = timedelta(seconds=10)

    def names(self) -> list[str]:
        """The names of the `count` pipelines alike."""
        return [self.name.replace("{n}", str(number)) for number in range(1, self.count + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A run that the script tells of, relative to the simulator's start."""

    project: str
    environment: str
    pipeline: str
    at: timedelta
    every: timedelta | None = None  # the same again
    duration: timedelta | None  # None: hangs
    status: str = "SUCCESS"
    message: str = ""
    trigger: str = "SCHEDULE"
    user: str = ""
    cancel: CancelManner | None = None  # None: the pipeline's
    undated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something in the account that changes at an instant, relative to the simulator's start."""

    at: timedelta
    project: str
    environment: str = ""  # "" = all
    pipeline: str = ""
    allowed: bool | None = None  # the runner's allow list
    published: bool | None = None
    disabled: bool | None = None
    forbidden: bool | None = None  # calls for the project get 403


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWindow:
    """A fault that is on between two instants, relative to the start; the same again every so often."""

    fault: dict[str, Any] = field(hash=False)  # as the control endpoint takes it
    start: timedelta
    end: timedelta | None = None
    every: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A whole script."""

    name: str
    about: str = ""
    history: timedelta = timedelta(days=1)
    clock_offset: timedelta = timedelta()  # real time: the server's clock minus the machine's
    token_expires_in: timedelta = timedelta(seconds=1800)  # real time: what it says
    token_dies_after: timedelta | None = None  # real time: what it does; None = what it says
    requests_per_minute: int = 1000  # real time
    answers: Answers = field(default_factory=Answers)
    projects: tuple[ProjectSpec, ...] = ()
    pipelines: tuple[PipelineSpec, ...] = ()
    runs: tuple[Moment, ...] = ()
    changes: tuple[Change, ...] = ()
    faults: tuple[FaultWindow, ...] = ()
