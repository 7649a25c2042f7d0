"""Shows what came of a campaign."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from .verdict import Verdict

_COLUMNS = ("runs", "failing", "events", "messages", "kills", "lost", "extra", "unmarked extra", "false", "PATCHes",
            "wrong cancels", "wrong counters", "secrets found", "scrapes", "scrapes failed")  # fmt: skip
_SHOWN = 12


def table(verdicts: Iterable[Verdict]) -> str:
    """One row a store, as Markdown."""
    rows = [("", *_COLUMNS), ("---", *("---:" for _ in _COLUMNS)), *map(_row, verdicts)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )


def _row(verdict: Verdict) -> tuple[str, ...]:
    each = verdict
    numbers = (
        each.runs, each.failing, each.events, each.messages, each.kills, len(each.lost), each.extra, len(each.unmarked),
        len(each.false), each.cancels, len(each.wrong_cancels), len(each.wrong_counters), len(each.secrets),
        each.scrapes, len(each.failed_scrapes),
    )  # fmt: skip
    return (verdict.name, *(f"{number:,}" for number in numbers))


def broken(verdict: Verdict) -> str:
    """What was done, and each broken promise in words."""
    done = ", ".join(f"{number} {what}" for what, number in sorted(verdict.count.items()))
    found = verdict.broken
    more = [f"  ... and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "\n".join([f"{verdict.name}: {done}", *(f"  {line}" for line in found[:_SHOWN]), *more])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
