"""The long version, by hand: `cd tests && python -m crash [--runs 1000] [--kills 30] [--writes 60]`; a table comes out.

Exit 1 when something was lost, or repeated without need or mark.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from .harness import HEADING, STEPS, Tally, killed_at, killed_at_random, killed_at_write, say


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="failing runs of the random kills")
    parser.add_argument("--kills", type=int, default=30, help="random kills; and a third of it at each step")
    parser.add_argument("--writes", type=int, default=60, help="kill at the first, second, ... so many-th write")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    tallies = []

    def tell(name: str, tally: Tally) -> None:
        tallies.append(tally)
        say(tally.row(name))

    say(HEADING)
    for target in ("slack", "mail"):
        for step in STEPS:
            tell(f"{target}: {step}", killed_at(folder(), target, step, kills=max(1, options.kills // 3)))
    tell("slack: a digest, received", killed_at(folder(), "slack", "received", kills=5, runs=60, per_minute=20))
    moments = [chance.uniform(0, 3) for _ in range(options.kills)]
    tell("at random", killed_at_random(folder(), moments, runs=options.runs))
    tell("at random, digests", killed_at_random(folder(), moments, runs=options.runs, per_minute=60))
    total = Tally()
    for write in range(1, options.writes + 1):
        tally = killed_at_write(folder(), write)
        if tally is None:
            break
        total = added(total, tally)
    tell(f"at write 1 to {total.kills}", total)
    return 0 if all(tally.good for tally in tallies) else 1


def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="maia-crash-"))


def added(one: Tally, other: Tally) -> Tally:
    def both(name: str) -> dict[str, int]:
        return {key: getattr(one, name).get(key, 0) + value for key, value in getattr(other, name).items()}

    return Tally(
        kills=one.kills + other.kills,
        in_flight=one.in_flight + other.in_flight,
        runs=one.runs + other.runs,
        lost=both("lost"),
        extra=both("extra"),
        unmarked=one.unmarked + other.unmarked,
        messages=both("messages"),
    )


if __name__ == "__main__":
    sys.exit(main())
