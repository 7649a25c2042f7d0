"""What happens when: one seed, one list of moves. Pure; whoever has the seed has the campaign.

A move that ends something later says so itself (`seconds`). Must not do anything (`moves.py` does).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

LISTS = "/dpc/v1/pipeline-executions"
ONE_RUN = "/dpc/v1/projects/*/pipeline-executions/*"
TOKENS = "/oauth/*"


@dataclass(frozen=True, slots=True)
class Move:
    """At `at` seconds from the start, `kind` happens; `what` says how, and for how many `seconds`."""

    at: float
    kind: str
    what: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.at:8.1f}  {self.kind:<10} " + " ".join(f"{key}={value}" for key, value in self.what.items())


RUNS = (
    # weight, pipeline, what is told to the simulator
    (30, "load-{n}", {"status": "FAILED"}),
    (10, "load-{n}", {"outcome": "FAILED", "duration": (1, 8)}),
    (9, "load-{n}", {"status": "SUCCESS"}),
    (3, "load-{n}", {"status": "FORBIDDEN", "trigger": "API"}),
    (2, "load-{n}", {"status": "FORBIDDEN", "trigger": "API", "undated": True}),
    (2, "load-{n}", {"status": "SKIPPED"}),
    # Under the limit: 4 s warn, 8 s cancel, 6 s later force.
    (5, "nightly-{n}", {"duration": (25, 40), "cancel": "obeys"}),
    (2, "nightly-{n}", {"duration": (25, 40), "cancel": "finishes", "outcome": "FAILED"}),
    (2, "nightly-{n}", {"duration": (25, 40), "cancel": "ignores"}),
    (2, "nightly-{n}", {"duration": (25, 40), "cancel": "deaf", "outcome": "FAILED"}),
    (1, "nightly-{n}", {"duration": (30, 40), "cancel": "immortal"}),
    (3, "nightly-{n}", {"duration": (6, 12), "cancel": "obeys"}),  # ends about when it would be asked
    # Never to be asked: within the limit, started by hand, in another environment, observed only, under no limit.
    (3, "nightly-{n}", {"duration": (1, 7)}),
    (2, "nightly-{n}", {"duration": (20, 40), "trigger": "DESIGNER", "user": "ada@example.com"}),
    (2, "nightly-{n}", {"duration": (20, 40), "environmentName": "test"}),
    (2, "watched-{n}", {"duration": (15, 30)}),
    (2, "free-{n}", {"duration": (20, 40), "outcome": "FAILED"}),
    # Fail and recover so seldom that nothing can make it unclear in which order they did.
    (3, "steady-{n}", {"status": "FAILED"}),
    (3, "steady-{n}", {"status": "SUCCESS"}),
)

HOST = (
    (60, "kill", {}),
    (14, "kill_at", {"target": ("slack", "mail"), "step": ("connected", "received", "answered")}),
    (12, "kill_write", {"write": (1, 14)}),
    (8, "restart", {}),
    (8, "pause", {"seconds": (0.5, 14)}),
    (3, "pause_at_look", {"seconds": (13, 15)}),
    (5, "disk_full", {"seconds": (1, 5)}),
    (5, "disk_error", {"seconds": (1, 5), "error": ("EROFS", "EIO", "ENOSPC")}),
    (6, "clock", {"seconds": (2, 8), "offset": (-3600, -90, -5, 5, 90, 3600)}),
    (4, "config", {"change": ("rate", "observe", "bad")}),
    (1, "outage", {}),
    (8, "nothing", {}),
)

ON_SHARED_STORES = (
    (4, "server_restart", {}),
    (6, "kill", {"both": True}),
)

API = (
    (4, "latency", {"seconds": (0.3, 3.0)}),
    (5, "status", {"status": (500, 502, 503, 401, 403, 404), "body": ("problem", "html", "empty")}),
    (2, "status", {"status": (500, 503), "path": (LISTS, ONE_RUN, TOKENS)}),
    (2, "status", {"status": (403, 404, 409), "method": ("PATCH",)}),
    (3, "rate_limited", {"retry_after": (1.0, 3.0)}),
    (3, "html", {}),
    (3, "hang", {"path": (LISTS, ONE_RUN, TOKENS, "*")}),
    (3, "reset", {"after_bytes": (0, 400)}),
    (2, "drip", {"seconds": (0.05, 0.5)}),
    (3, "shift", {}),
    (3, "stale", {"seconds": (5.0, 60.0)}),
    # As late as leaves it on the first page of the list: what surfaces behind that is found by the hourly audit.
    (3, "late", {"seconds": (3.0, 25.0), "share": (0.5, 1.0)}),
    (3, "malformed", {"records": (1, 3), "form": ("no_id", "no_name", "not_object", "number_status")}),
    (2, "unknown_status", {"records": (1, 2), "query": ("*status=RUNNING*",)}),
    (3, "patch_applied", {"status": (500, 502, 504)}),
    (2, "patch_applied", {"hang": (True,)}),
    (3, "patch_race", {"outcome": ("SUCCESS", "FAILED")}),
    (2, "revoke", {}),
    (2, "budget", {"requests_per_minute": (20, 60)}),
)

TARGETS = (
    (3, "down"), (2, "hang"), (2, "stored_hang"), (3, "error"), (3, "stored_error"), (1, "throttle"),
    (1, "refuse"), (1, "poison"), (2, "page"), (3, "slow"), (3, "stored_drop"), (2, "drop"),
)  # fmt: skip


def schedule(
    seed: int, seconds: float, *, shared_store: bool = False, without: frozenset[str] = frozenset()
) -> list[Move]:
    """The moves of one campaign, by time. `without` leaves out what this machine cannot do."""
    host = tuple(row for row in (*HOST, *(ON_SHARED_STORES if shared_store else ())) if row[1] not in without)
    if shared_store:
        host = tuple(row for row in host if not row[1].startswith(("disk", "kill_write")))
    moves = [
        *_each(random.Random(f"{seed}:runs"), seconds, _gap(0.05, 0.9), _a_run),
        *_each(random.Random(f"{seed}:host"), seconds, _gap_of_storms, lambda chance: _a_blow(chance, host)),
        *_each(random.Random(f"{seed}:api"), seconds, _gap(1.5, 7.0), _an_api_fault),
        *_each(random.Random(f"{seed}:targets"), seconds, _gap(2.0, 8.0), _a_target_fault),
    ]
    return sorted(moves, key=lambda move: move.at)


Chance = random.Random
Pick = Callable[[Chance], tuple[str, dict[str, Any]]]


def _each(chance: Chance, seconds: float, gap: Callable[[Chance], float], pick: Pick) -> Iterator[Move]:
    at = gap(chance)
    while at < seconds:
        yield Move(at, *pick(chance))
        at += gap(chance)


def _gap(shortest: float, longest: float) -> Callable[[Chance], float]:
    return lambda chance: chance.uniform(shortest, longest)


def _gap_of_storms(chance: Chance) -> float:
    """Blow upon blow, and now and then peace for as long as it takes to see a run twice and cancel it."""
    return chance.uniform(10, 16) if chance.random() < 0.08 else chance.uniform(0.3, 2.5)


def _a_run(chance: Chance) -> tuple[str, dict[str, Any]]:
    _, name, settings = chance.choices(RUNS, weights=[row[0] for row in RUNS])[0]
    what = {key: _drawn(chance, value) for key, value in settings.items()}
    if "duration" in what:
        what["duration"] = f"{what['duration']:.1f}s"
    burst = chance.choice((1, 1, 1, 1, 1, 8)) if what.get("status") == "FAILED" else 1
    return "run", {"pipelineName": f"finance/{name.format(n=chance.randint(1, 4))}.orch.yaml", "burst": burst, **what}


def _a_blow(chance: Chance, table: tuple[tuple[int, str, dict[str, Any]], ...]) -> tuple[str, dict[str, Any]]:
    """One in five may hit a service that still starts; the others wait until it serves, however slow the machine is."""
    kind, what = _one(chance, table)
    return kind, {"serving": chance.random() > 0.2, **what}


def _an_api_fault(chance: Chance) -> tuple[str, dict[str, Any]]:
    kind, what = _one(chance, API)
    if kind not in ("late", "stale", "shift", "revoke", "budget", "unknown_status", "patch_race"):
        what["rate"] = chance.choice((0.3, 1.0, 1.0))
    return "api", {"fault": kind, "for_seconds": round(chance.uniform(0.8, 6.0), 1), **what}


def _a_target_fault(chance: Chance) -> tuple[str, dict[str, Any]]:
    mood = chance.choices([mood for _, mood in TARGETS], weights=[weight for weight, _ in TARGETS])[0]
    return "target", {
        "target": chance.choice(("slack", "mail")),
        "mood": mood,
        "seconds": round(chance.uniform(1, 6), 1),
    }


def _one(chance: Chance, table: tuple[tuple[int, str, dict[str, Any]], ...]) -> tuple[str, dict[str, Any]]:
    _, kind, settings = chance.choices(table, weights=[row[0] for row in table])[0]
    return kind, {key: _drawn(chance, value) for key, value in settings.items()}


def _drawn(chance: Chance, value: Any) -> Any:
    """From a pair of numbers one between them, from other tuples one of them."""
    if not isinstance(value, tuple):
        return value
    if len(value) == 2 and all(type(end) is int for end in value):
        return chance.randint(*value)
    if len(value) == 2 and all(isinstance(end, int | float) for end in value):
        return round(chance.uniform(*value), 2)
    return chance.choice(value)
