"""What goes wrong on purpose: which faults are on, and which requests they hit.

Must not answer anything: `exporter.simulator.gate` does what happens on the wire, `exporter.simulator.api` the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from exporter.simulator.lives import draw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

KINDS: Mapping[str, Mapping[str, Any]] = {
    "latency": {"seconds": 1.0},  # answers that much later
    # Answers with this; body "problem", "html" or "empty"; with Retry-After (seconds) and Location where not 0 or "".
    "status": {"status": 503, "body": "problem", "retry_after": 0.0, "location": ""},
    "rate_limited": {"retry_after": 5.0},  # 429
    "html": {"status": 200},  # an HTML page instead of JSON
    "hang": {},  # never answers
    "reset": {"after_bytes": 0},  # connection reset after so many bytes of the body
    "drip": {"seconds": 0.5, "bytes": 16},  # so many bytes of the body every so many seconds
    "shift": {},  # list tokens are offsets: new runs push rows to the next page
    "stale": {"seconds": 60.0},  # lists answer as so long ago
    "late": {"seconds": 60.0, "pipeline": "*", "share": 1.0},  # lists show a run that long after its creation
    # Records nobody can read (forms: `exporter.simulator.answers.spoil`); with another path, in any other list.
    "malformed": {"records": 1, "form": "no_id", "path": "/dpc/v1/pipeline-executions"},
    "unknown_status": {"value": "PAUSED", "records": 1},  # the first records of a list say this
    "patch_applied": {"status": 502, "hang": False},  # PATCH does its work, then answers this (or never)
    "patch_race": {"outcome": "SUCCESS"},  # the run ends by itself just before the PATCH
}
"""Every kind, with its own settings and their defaults (seconds of real time); beside them all take `SCOPE`."""

SCOPE: Mapping[str, Any] = {"method": "*", "path": "*", "query": "*", "count": None, "rate": 1.0}
"""Which requests: globs on method, path and raw query; only the first `count`; only this share of them."""


class FaultError(ValueError):
    """A fault that nobody knows, or a setting it does not have."""


@dataclass(slots=True)
class Fault:
    """One fault that is or will be on."""

    fault_id: int
    kind: str
    settings: dict[str, Any]
    start: datetime | None = None
    end: datetime | None = None
    every: timedelta | None = None
    seen: int = 0
    hits: int = 0

    def on(self, now: datetime) -> bool:
        """Whether its time is now."""
        if self.start is None:
            return True
        if now < self.start:
            return False
        if self.end is None:
            return True
        past = now - self.start
        return (past % self.every if self.every else past) < self.end - self.start

    def as_json(self, now: datetime) -> dict[str, Any]:
        """What the control endpoint shows."""
        return {"id": self.fault_id, "kind": self.kind, **self.settings, "on": self.on(now), "hits": self.hits}


@dataclass(slots=True)
class Faults:
    """All faults, by the order in which they were switched on."""

    seed: int
    faults: list[Fault] = field(default_factory=list)
    _last_id: int = 0

    def add(
        self,
        wanted: Mapping[str, Any],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        every: timedelta | None = None,
    ) -> Fault:
        """Switch a fault on; FaultError names what is wrong."""
        settings = dict(wanted)
        kind = settings.pop("kind", None)
        if kind not in KINDS:
            raise FaultError(f"kind: {kind!r} is unknown; known are {', '.join(KINDS)}")
        known = {**SCOPE, **KINDS[kind]}
        for key, value in settings.items():
            if key not in known:
                raise FaultError(f"{key}: unknown for {kind}; known are {', '.join(known)}")
            if not _alike(value, known[key]):
                raise FaultError(f"{key}: {value!r} is not of the right kind; for example {known[key]!r}")
        self._last_id += 1
        fault = Fault(self._last_id, kind, {**known, **settings}, start, end, every)
        self.faults.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> int:
        """Switch one off, or all; says how many."""
        kept = [] if fault_id is None else [fault for fault in self.faults if fault.fault_id != fault_id]
        removed = len(self.faults) - len(kept)
        self.faults = kept
        return removed

    def hit(self, kind: str, *, method: str, path: str, query: str, now: datetime) -> dict[str, Any] | None:
        """The settings of the first fault of this kind that hits this request, which counts as a hit."""
        for fault in self.faults:
            settings = fault.settings
            scope = ((method, settings["method"]), (path, settings["path"]), (query, settings["query"]))
            if fault.kind != kind or not fault.on(now) or not all(fnmatchcase(*pair) for pair in scope):
                continue
            if settings["count"] is not None and fault.hits >= settings["count"]:
                continue
            fault.seen += 1
            if settings["rate"] < 1 and draw(self.seed, "fault", fault.fault_id, fault.seen)[0] >= settings["rate"]:
                continue
            fault.hits += 1
            return settings
        return None


def _alike(value: object, example: object) -> bool:
    if isinstance(example, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(example, bool)
    if isinstance(example, str):
        return isinstance(value, str)
    return isinstance(value, (int, float)) and value >= 0
