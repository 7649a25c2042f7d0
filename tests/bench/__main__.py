"""Every number that this project claims, each beside its reference in the same run: `scripts/bench [NAME…] [--quick]`.

exposition  building the page                beside prometheus_client.generate_latest over the same families
scrape      serving the page                 beside nginx with the same bytes as a file
entrance    TLS and sign-in                  beside the same service without
page        the page of 2,000 pipelines      its scrapes beside those with nobody looking
poll        a poll's own work                beside json and a bare INSERT loop on the same answers
record      a poll's commit                  beside a bare INSERT loop, on SQLite and PostgreSQL
history     the first read of a long past    beside a bare httpx loop over the same pages
start       until there is something to see  beside the peer: one API call a pipeline a scrape, on prometheus_client
memory      the most that a process had      beside the peer
calls       API calls of a poll              beside the peer
effects     until an alert, a cancel, an end is seen
"""

# ruff: noqa: T201 - what it prints is what it is for

from __future__ import annotations

import argparse
import sys
import traceback
from time import perf_counter

from . import calls, effects, entrance, exposition, history, memory, page, poll, record, scrape, start
from .machine import load, machine
from .table import HEADING, Effort, MissingProgramError, Row, line

PARTS = {
    part.__name__.rpartition(".")[2]: part.measure
    for part in (exposition, scrape, entrance, page, poll, record, history, start, memory, calls, effects)
}


def main() -> int:
    options = parsed()
    effort = Effort(quick=options.quick)
    print(*machine(), line(HEADING), line(["---"] * len(HEADING)), sep="\n", flush=True)
    rows: list[Row] = []
    whole = True
    for name in options.parts or PARTS:
        began = perf_counter()
        print(f"\n{name}: {load()}", flush=True)
        try:
            for row in PARTS[name](effort):
                rows.append(row)
                print(line(row.cells()), flush=True)
                for side, numbers in (("ours", row.ours), ("reference", row.theirs)):
                    print(f"    {side}: {' '.join(f'{number:.6g}' for number in numbers)}", flush=True)
        except MissingProgramError as missing:
            whole = False
            print(f"  NOT MEASURED: {missing}")
        except Exception:  # noqa: BLE001 - what one part meets must not cost the others' hour
            whole = False
            print(f"  BROKEN OFF: {traceback.format_exc()}")
        print(f"  {perf_counter() - began:.0f} s; {load()}", flush=True)
    missed = [row.what for row in rows if row.missed]
    print(f"\ngoals missed: {'; '.join(missed) or 'none'}")
    return 0 if whole and not missed else 1


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="NAME", help=f"default: all of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing much")
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
