"""A day of an account's life at speed, and what it leaves of the service: `scripts/soak [--speed 60] [--hours 24]`.

The service polls a simulator of 2,000 pipelines every second while a day of theirs passes; by the kernel's account and
by its own metrics: memory, open files, threads, the record's size, the duration of polls. Writes what it read as
CSV, draws it, and says how much memory grew after the first tenth.
"""

# ruff: noqa: T201 - what it prints is what it is for

from __future__ import annotations

import argparse
import csv
import re
import statistics
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from e2e.processes import Service, Simulator

from .drawing import drawn
from .effects import ends, now, recorded_ends
from .machine import load, machine
from .programs import a_folder, memory_of, service, simulator

COLUMNS = ("hours", "memory_mb", "open_files", "threads", "record_mb", "poll_ms", "polls", "runs_finished")
GOAL = 0.05
"""Of memory, after the first tenth."""


def main() -> int:
    options = parsed()
    before = [*machine(), load()]
    seconds = options.hours * 3600 / options.speed
    readings = []
    with (
        a_folder() as folder,
        simulator(folder, pipelines=options.pipelines, speed=options.speed, history="1d", every="4h") as simulated,
        service(folder, simulated.url) as ours,
    ):
        ours.up(timeout=120)
        began = now()
        for reading in watched(ours, folder, seconds=seconds, every=seconds / options.readings, speed=options.speed):
            readings.append(reading)
            print(" ".join(f"{name}={value:g}" for name, value in zip(COLUMNS, reading, strict=True)), flush=True)
        after = [load(), lost(simulated, folder, began), *complaints(ours.text)]
        written(options, readings, [*before, *after, *summary(readings, titled(options, seconds))])
    return 0 if growth(readings) < GOAL else 1


def written(options: argparse.Namespace, readings: list[tuple[float, ...]], lines: list[str]) -> None:
    """Keep the readings, their picture, and what is to be said about them."""
    with Path(f"{options.out}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *readings])
    Path(f"{options.out}.svg").write_text(
        drawn(readings, title=titled(options, readings[-1][0] * 3600 / options.speed))
    )
    Path(f"{options.out}.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speed", type=float, default=60, help="how many times faster than life (default 60)")
    parser.add_argument("--hours", type=float, default=24, help="of the account's life (default 24)")
    parser.add_argument("--pipelines", type=int, default=2_000)
    parser.add_argument("--readings", type=int, default=144)
    parser.add_argument("--out", default="tests/bench/results/soak", help="files to write, without their endings")
    return parser.parse_args()


def watched(ours: Service, folder: Path, *, seconds: float, every: float, speed: float) -> Iterator[tuple[float, ...]]:
    """A reading every so many seconds."""
    never, began = threading.Event(), perf_counter()
    for number in range(1, round(seconds / every) + 1):
        never.wait(max(0.0, began + number * every - perf_counter()))
        now = perf_counter() - began
        proc = Path(f"/proc/{ours.pid}")
        page = ours.get("/metrics").text
        yield (
            now * speed / 3600,
            memory_of(ours.pid)[1],
            len(list((proc / "fd").iterdir())),
            len(list((proc / "task").iterdir())),
            sum(file.stat().st_size for file in folder.glob("maia-exporter.db*")) / 1e6,
            total(page, "maia_exporter_poll_duration_seconds") * 1e3,
            total(page, "maia_exporter_polls_total"),
            total(page, "maia_pipeline_runs_finished_total"),
        )


def total(page: str, metric: str) -> float:
    """The sum of a metric's samples."""
    return sum(float(value) for value in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", page, re.MULTILINE))


def lost(simulated: Simulator, folder: Path, since: datetime) -> str:
    """Whether every run that has ended since an instant, but for the last seconds, is in the record."""
    ended = ends(simulated, since, now() - timedelta(seconds=10))
    missing = ended.keys() - recorded_ends(folder).keys()
    return f"runs that ended meanwhile, by the simulator: {len(ended):,}; of these not in the record: {len(missing):,}"


def growth(readings: list[tuple[float, ...]]) -> float:
    """The share by which memory grew from the second tenth to the last."""
    tenth = max(1, len(readings) // 10)
    early, late = (
        statistics.median(reading[1] for reading in some) for some in (readings[tenth : 2 * tenth], readings[-tenth:])
    )
    return late / early - 1


def titled(options: argparse.Namespace, seconds: float) -> str:
    return (
        f"{options.hours:g} hours of {options.pipelines:,} pipelines, {options.speed:g} times faster than life"
        f" ({seconds / 60:.0f} minutes, a poll a second)"
    )


def summary(readings: list[tuple[float, ...]], title: str) -> list[str]:
    """Start, middle and end, each the median of a tenth of the readings."""
    tenth, middle = max(1, len(readings) // 10), len(readings) // 2
    parts = (readings[:tenth], readings[middle - tenth // 2 :][:tenth], readings[-tenth:])
    lines = [title, "| | start | middle | end |", "| --- | --- | --- | --- |"]
    for column, name in ((1, "memory, MB"), (2, "open files"), (3, "threads"), (4, "record, MB"), (5, "a poll, ms")):
        cells = (f"{statistics.median(reading[column] for reading in part):,.0f}" for part in parts)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append(f"memory grew by {growth(readings):.1%} after the first tenth (goal: less than {GOAL:.0%})")
    return lines


def complaints(said: str) -> list[str]:
    """What the service had to say beside its pipelines' failures."""
    lines = [line for line in said.splitlines() if re.search(r" (error|warning) ", line) and "run finished" not in line]
    return [f"{len(lines)} other errors and warnings in the log", *lines[:20]]


if __name__ == "__main__":
    sys.exit(main())
