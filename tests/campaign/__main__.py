"""The fault campaign: `scripts/campaign [--minutes N] [--seed S] [--store sqlite|postgresql]`; a table comes out.

Real processes, everything that can go wrong to them goes wrong, all of it drawn from one seed. Exit 1 when a promise
was broken. `--planted` puts the campaign itself on trial.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from .campaign import campaign
from .planted import on_trial
from .replicas import why_no_replicas
from .schedule import schedule
from .tables import broken, say, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long altogether (default 3)")
    parser.add_argument("--seed", type=int, default=None, help="repeat the campaign of that seed")
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--schedule", action="store_true", help="only print what would happen when")
    parser.add_argument("--verbose", action="store_true", help="say each move")
    parser.add_argument(
        "--planted", nargs="*", metavar="FAULT", help="put faults into the service; each must be caught"
    )
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that all that was started is ended
    seed = random.SystemRandom().randrange(1, 1_000_000) if options.seed is None else options.seed
    if options.planted is not None:
        return on_trial(options.planted, seed=seed if options.seed is not None else 1)
    stores = _stores(options.store)
    seconds = max(20.0, options.minutes * 60 / len(stores) - CALM_SECONDS)
    if options.schedule:
        for kind in stores:
            for move in schedule(seed, seconds, shared_store=kind == "postgresql"):
                say(str(move))
        return 0
    say(f"seed {seed}: scripts/campaign --minutes {options.minutes:g} --seed {seed} --store {options.store}")
    began = time.perf_counter()
    verdicts = []
    for kind in stores:
        folder = Path(tempfile.mkdtemp(prefix="maia-campaign-"))
        say(f"{kind}: {seconds:.0f} s in {folder}")
        replicas = 2 if kind == "postgresql" else 1
        verdicts.append(
            campaign(
                folder,
                kind=kind,
                replicas=replicas,
                seed=seed,
                seconds=seconds,
                say=say if options.verbose else _only_notes,
            )
        )
    if options.json:
        found = [{**asdict(verdict), "broken": verdict.broken} for verdict in verdicts]
        options.json.write_text(json.dumps(found, indent=1))
    say(table(verdicts))
    for verdict in verdicts:
        say(broken(verdict))
    good = not any(verdict.broken for verdict in verdicts)
    say(f"seed {seed}, {time.perf_counter() - began:.0f} s: {'every promise was kept' if good else 'BROKEN PROMISES'}")
    return 0 if good else 1


CALM_SECONDS = 45.0
"""About how long starting and coming to rest take, of each store's share of the minutes."""


def _stores(wanted: str) -> list[str]:
    if wanted != "both":
        return [wanted]
    missing = why_no_replicas()
    if missing:
        say(f"NOT DONE: {missing}")
        if os.environ.get("CI") == "true":
            sys.exit(1)
        return ["sqlite"]
    return ["sqlite", "postgresql"]


def _only_notes(line: str) -> None:
    if not line.startswith(" "):
        say(line)


if __name__ == "__main__":
    sys.exit(main())
