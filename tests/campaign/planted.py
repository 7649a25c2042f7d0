"""Puts the campaign itself on trial: faults, planted one by one into a copy of the service, must each be caught.

They are what could be wrong in delivery, tracker, alerts and cancel; simulator and targets share no code with these.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

from .schedule import schedule
from .tables import say

PACKAGE = Path(__file__).parents[2] / "exporter"
TRIES = 3
"""Seeds until one must have caught it: some need a death at a certain instant."""


@dataclass(frozen=True, slots=True)
class Fault:
    """In `file`, `right` becomes `wrong`.

    What the campaign then complains about must match `shows`; a slow machine alone can bring about other complaints.
    A campaign has the fault for `minutes`, and two moves of the kind in `needs` soon enough.
    """

    name: str
    file: str
    right: str
    wrong: str
    shows: str
    needs: dict[str, Any] = field(default_factory=dict)
    minutes: float = 1.6


_YES = "    if outcome is OutcomeClass.SENT:\n        return replace(before"

FAULTS = (
    # Delivery
    Fault(
        "forgets what was being sent when it died",
        "store/leases.py",
        '_d.state == DeliveryState.LEASED, _d.boot != bindparam("boot")',
        '_d.state == DeliveryState.LEASED, _d.boot == bindparam("boot")',
        shows=r"lost: .* (never reached|still waits for) (slack|mail)",
        needs={"kind": "kill_at", "step": "received"},
    ),
    Fault(
        "repeats without a mark",
        "store/leases.py",
        "        ambiguous=True,\n",
        "        ambiguous=False,\n",
        shows="unmarked copy: ",
        needs={"kind": "kill_at", "step": "received"},
    ),
    Fault(
        "takes an error for a yes",
        "core/delivery.py",
        _YES,
        _YES.replace("is OutcomeClass.SENT", "in (OutcomeClass.SENT, OutcomeClass.SERVER_ERROR)"),
        shows="lost: .* never reached slack",
        needs={"kind": "target", "target": "slack", "mood": "error"},
    ),
    Fault(
        "takes no answer for a yes",
        "core/delivery.py",
        _YES,
        _YES.replace("is OutcomeClass.SENT", "in (OutcomeClass.SENT, OutcomeClass.AMBIGUOUS)"),
        shows="lost: .* never reached slack",
        needs={"kind": "target", "target": "slack", "mood": "drop"},
    ),
    Fault(
        "writes down where it sent to",
        "apprise_channel.py",
        "        return outcome_of([(entry.level, entry.message) for entry in result.logs()])",
        '        return Outcome(OutcomeClass.SERVER_ERROR, f"cannot send to {url}")',
        shows="secret: webhook .* in ",
        needs={"kind": "target", "target": "slack", "mood": "error"},
    ),
    # Tracker
    Fault(
        "is silent about runs that it never saw running",
        "core/tracker.py",
        "        if not history:\n            self.events.append(RunFinished",
        "        if not history and not first_sight:\n            self.events.append(RunFinished",
        shows="lost: .*:FAILED never reached",
    ),
    Fault(
        "counts a run again",
        "core/tracker.py",
        "if run.run_id not in settled:",
        "if run.run_id is not None:",
        shows="wrong counter: ",
    ),
    Fault(
        "tells history",
        "core/tracker.py",
        "        history = first_sight and self._is_history(run, pipeline)",
        "        history = False",
        shows="false: .* a run from before our time",
    ),
    Fault(
        "counts history", "core/tracker.py", "counted=not history", "counted=True", shows="wrong counter: runs_finished"
    ),
    Fault(
        "commits what it found before what it tells of it",
        "account.py",
        "                if also is not None:\n                    also(connection)\n",
        "            if also is not None:\n                with self.database.transaction() as connection:\n"
        "                    also(connection)\n",
        shows="lost: .* never reached",
        needs={"kind": "kill_write"},
        minutes=3.0,
    ),
    # Alerts
    Fault(
        "does not say that a pipeline works again",
        "core/alerts.py",
        "yield order, self._recovered(record, ledger, knows)",
        "pass",
        shows="lost: .*:RECOVERED never reached",
        minutes=4.0,
    ),
    Fault(
        "does not say that polls work again",
        "alerting.py",
        "        if down is None:\n            return ()\n",
        "        return ()\n",
        shows="lost: exporter:EXPORTER:polls_work:.* never reached",
        needs={"kind": "outage"},
        minutes=3.0,
    ),
    # Cancel
    Fault(
        "cancels too early",
        "canceller/meaning.py",
        "cancel_after=limit.cancel_after",
        "cancel_after=limit.warn_after",
        shows="wrong cancel: .* s old",
        needs={"kind": "run", "cancel": "obeys"},
    ),
    Fault(
        "cancels what was started by hand",
        "core/limits/rules.py",
        "return next((rule for rule in self.rules_for(pipeline) if matches_name(rule.triggers, trigger.value)), None)",
        "return next(iter(self.rules_for(pipeline)), None)",
        shows="wrong cancel: .* no limit in mode cancel covers it",
        needs={"kind": "run", "trigger": "DESIGNER"},
    ),
    Fault(
        "cancels after an old look",
        "canceller/acting.py",
        "LOOK_SECONDS = 10.0",
        "LOOK_SECONDS = 10_000.0",
        shows="wrong cancel: .* (nobody had looked|the look at it could show)",
        needs={"kind": "pause_at_look"},
        minutes=3.0,
    ),
    Fault(
        "calls cancelled what ended by itself",
        "core/limits/decide.py",
        "if run.status is Status.CANCELLED and heard:",
        "if heard:",
        shows="false: .* called cancelled, and it is",
        needs={"kind": "run", "cancel": "finishes"},
    ),
)

SOON = 0.3
"""The part of a schedule in which what a fault needs must come twice."""


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
    for seed in count(first):
        moves = [{"kind": move.kind, **move.what} for move in schedule(seed, SOON * fault.minutes * 60)]
        if sum(fault.needs.items() <= move.items() for move in moves) >= 2:
            yield seed


def _found(fault: Fault, *, seed: int) -> str:
    """What a campaign with the fault finds: how many complaints that it must bring about, and the first of them."""
    with tempfile.TemporaryDirectory(prefix="maia-planted-") as folder:
        copy = Path(folder) / "exporter"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        plant(fault, copy)
        result = Path(folder) / "found.json"
        words = ["--store", "sqlite", "--minutes", str(fault.minutes), "--seed", str(seed), "--json", str(result)]
        ran = subprocess.run(
            [sys.executable, "-m", "campaign", *words],
            env={**os.environ, "PYTHONPATH": folder},
            capture_output=True,
            text=True,
        )
        if not result.exists():
            raise RuntimeError(f"{fault.name}: no campaign came of it: {ran.stderr.strip()[-600:]}")
        [verdict] = json.loads(result.read_text())
        shown = [each for each in verdict["broken"] if re.match(fault.shows, each)]
        others = len(verdict["broken"]) - len(shown)
        if others:
            say(f"        seed {seed}: {others} other complaints")
        return f"seed {seed}, {len(shown)} times: {shown[0]}" if shown else ""


def plant(fault: Fault, package: Path) -> None:
    """Change the file; a fault that fits nowhere any more is an error of this list."""
    file = package / fault.file
    text = file.read_text()
    assert text.count(fault.right) == 1, f"{fault.name}: {fault.file} has it {text.count(fault.right)} times"
    file.write_text(text.replace(fault.right, fault.wrong))
