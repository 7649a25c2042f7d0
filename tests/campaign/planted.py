"""Puts the campaign itself on trial: faults, planted one by one into a copy of the service, must each be caught.

They are what could be wrong in delivery, tracker and cancel. The simulator and the targets share no code with these.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

from .schedule import schedule
from .tables import say

PACKAGE = Path(__file__).parents[2] / "exporter"
TRIES = 3
"""Seeds until one must have caught it: some need a death at a certain instant."""

_SLOWNESS = ("scrape: ", " still waits for ")
"""What a slow machine alone can bring about is no proof of a fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """In `file`, `right` becomes `wrong`."""

    name: str
    file: str
    right: str
    wrong: str


FAULTS = (
    # Delivery
    Fault(
        "forgets what was being sent when it died",
        "store/leases.py",
        '_d.state == DeliveryState.LEASED, _d.boot != bindparam("boot")',
        '_d.state == DeliveryState.LEASED, _d.boot == bindparam("boot")',
    ),
    Fault("repeats without a mark", "store/leases.py", "        ambiguous=True,\n", "        ambiguous=False,\n"),
    Fault("takes a page for a yes", "apprise_channel.py", "if answer.ok and", "if False and answer.ok and"),
    Fault(
        "takes an error for a yes",
        "core/delivery.py",
        "    if outcome is OutcomeClass.SENT:\n        return replace(before",
        "    if outcome in (OutcomeClass.SENT, OutcomeClass.SERVER_ERROR):\n        return replace(before",
    ),
    Fault(
        "takes no answer for a yes",
        "core/delivery.py",
        "    if outcome is OutcomeClass.SENT:\n        return replace(before",
        "    if outcome in (OutcomeClass.SENT, OutcomeClass.AMBIGUOUS):\n        return replace(before",
    ),
    # Tracker
    Fault(
        "is silent about runs that it never saw running",
        "core/tracker.py",
        "        if not history:\n            self.events.append(RunFinished",
        "        if not history and not first_sight:\n            self.events.append(RunFinished",
    ),
    Fault("counts a run again", "core/tracker.py", "if run.run_id not in settled:", "if run.run_id is not None:"),
    Fault(
        "tells history",
        "core/tracker.py",
        "        history = first_sight and self._is_history(run, pipeline)",
        "        history = False",
    ),
    Fault("counts history", "core/tracker.py", "counted=not history", "counted=True"),
    Fault(
        "commits what it found before what it tells of it",
        "account.py",
        "                if also is not None:\n                    also(connection)\n",
        "            if also is not None:\n                with self.database.transaction() as connection:\n"
        "                    also(connection)\n",
    ),
    # Cancel
    Fault(
        "cancels too early", "canceller/meaning.py", "cancel_after=limit.cancel_after", "cancel_after=limit.warn_after"
    ),
    Fault(
        "cancels what was started by hand",
        "core/limits/rules.py",
        "return next((rule for rule in self.rules_for(pipeline) if matches_name(rule.triggers, trigger.value)), None)",
        "return next(iter(self.rules_for(pipeline)), None)",
    ),
    Fault("cancels after an old look", "canceller/acting.py", "LOOK_SECONDS = 10.0", "LOOK_SECONDS = 10_000.0"),
    Fault(
        "calls cancelled what ended by itself",
        "core/limits/decide.py",
        "if run.status is Status.CANCELLED and heard:",
        "if heard:",
    ),
)


NEEDS: dict[str, dict[str, Any]] = {
    "forgets what was being sent when it died": {"kind": "kill_at", "step": "received"},
    "repeats without a mark": {"kind": "kill_at", "step": "received"},
    "takes a page for a yes": {"kind": "target", "target": "slack", "mood": "page"},
    "takes an error for a yes": {"kind": "target", "target": "slack", "mood": "error"},
    "takes no answer for a yes": {"kind": "target", "target": "slack", "mood": "drop"},
    "commits what it found before what it tells of it": {"kind": "kill_write"},
    "cancels too early": {"kind": "run", "cancel": "obeys"},
    "cancels what was started by hand": {"kind": "run", "trigger": "DESIGNER"},
    "cancels after an old look": {"kind": "pause_at_look"},
    "calls cancelled what ended by itself": {"kind": "run", "cancel": "finishes"},
}
"""What a fault can show at: two such moves must be in a schedule soon enough."""

SOON = 35.0
"""Seconds of the schedule."""


def on_trial(names: list[str], *, seed: int) -> int:
    """Exit code 1 when a fault was not caught."""
    missed = 0
    wanted = [fault for fault in FAULTS if not names or any(name in fault.name for name in names)]
    for fault in wanted:
        seeds = islice(_promising(fault, seed), TRIES)
        found = next((found for number in seeds if (found := _found(fault, seed=number))), "")
        say(f"{'caught' if found else 'MISSED'}  {fault.name}: {found or f'by none of {TRIES} seeds'}")
        missed += not found
    say(f"{len(wanted) - missed} of {len(wanted)} planted faults were caught")
    return 1 if missed else 0


def _promising(fault: Fault, first: int) -> Iterator[int]:
    """Seeds from the first on with which the fault can show."""
    needs = NEEDS.get(fault.name, {})
    for seed in count(first):
        moves = [{"kind": move.kind, **move.what} for move in schedule(seed, SOON)]
        if sum(needs.items() <= move.items() for move in moves) >= 2:
            yield seed


def _found(fault: Fault, *, seed: int) -> str:
    """What a campaign with the fault finds: how many broken promises, and the first of them."""
    with tempfile.TemporaryDirectory(prefix="maia-planted-") as folder:
        copy = Path(folder) / "exporter"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        plant(fault, copy)
        result = Path(folder) / "found.json"
        words = ["-m", "campaign", "--store", "sqlite", "--minutes", "1.6", "--seed", str(seed), "--json", str(result)]
        ran = subprocess.run(
            [sys.executable, *words], env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True
        )
        if not result.exists():
            return f"it does not even start: {ran.stderr.strip().splitlines()[-1]}" if ran.returncode else ""
        [verdict] = json.loads(result.read_text())
        broken = [each for each in verdict["broken"] if not any(slow in each for slow in _SLOWNESS)]
        return f"seed {seed}, {len(broken)} times: {broken[0]}" if broken else ""


def plant(fault: Fault, package: Path) -> None:
    """Change the file; a fault that fits nowhere any more is an error of this list."""
    file = package / fault.file
    text = file.read_text()
    assert text.count(fault.right) == 1, f"{fault.name}: {fault.file} has it {text.count(fault.right)} times"
    file.write_text(text.replace(fault.right, fault.wrong))
