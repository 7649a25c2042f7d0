"""What the steps of a run look like at an instant: its own, one after the other, then one for each pipeline it calls.

A pure function of the run: the last own step hangs, fails or is cancelled with it. Must not know how steps are paged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.simulator.account import named_id
from exporter.simulator.answers import instant_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from datetime import datetime

    from exporter.simulator.account import Run
    from exporter.simulator.script import Answers


def step_records(
    run: Run, answers: Answers, *, now: datetime, scale: float, known: Container[str]
) -> list[dict[str, Any]]:
    """The steps begun by `now`, and as SKIPPED without times those a finished run never began; `known` are run ids."""
    if run.outcome in ("FORBIDDEN", "SKIPPED"):
        return []
    records = [_own(run, answers, *window, now=now) for window in _windows(run, scale)]
    for child in run.children:
        record: dict[str, Any] = {"name": f"Run {child.pipeline.name.rsplit('/', 1)[-1]}"}
        if child.run_id in known:
            stop = child.ends_at if child.finished else None
            record["result"] = _result(child.status, child.created_at, stop, child.message, run, answers)
            record["childPipeline"] = {"id": child.run_id, "name": child.pipeline.name}
        else:
            record["result"] = {"status": "SKIPPED"}
        records.append(record)
    begun = [record for record in records if run.finished or record["result"]["status"] != "SKIPPED"]
    return [{"id": named_id(run.run_id, "step", number), **record} for number, record in enumerate(begun)]


def _windows(run: Run, scale: float) -> Iterator[tuple[str, datetime, datetime | None]]:
    """Name, start and stop of each own step: equal slices of the time before the first call, or of the whole run."""
    names = run.pipeline.spec.steps
    until = run.children[0].created_at if run.children else run.ends_at
    planned = until is not None and (bool(run.children) or run.asked_at is None)
    whole = until - run.created_at if planned and until is not None else run.pipeline.spec.duration / scale
    for number, name in enumerate(names):
        last = number == len(names) - 1
        stop = until if last else run.created_at + whole * (number + 1) / len(names)
        yield name, run.created_at + whole * number / len(names), stop


def _own(
    run: Run, answers: Answers, name: str, start: datetime, stop: datetime | None, *, now: datetime
) -> dict[str, Any]:
    end = run.ends_at if run.finished and run.ends_at is not None else now
    if start > end:
        return {"name": name, "result": {"status": "SKIPPED"}}
    if stop is not None and (stop < end or (stop == end and run.status not in ("FAILED", "CANCELLED", "UNKNOWN"))):
        result = _result("SUCCESS", start, stop, "Success", run, answers)
    elif run.finished:
        result = _result(run.status, start, end, run.message, run, answers)
    else:
        result = _result("RUNNING", start, None, "", run, answers)
    return {"name": name, "result": result}


def _result(
    status: str, start: datetime, stop: datetime | None, message: str, run: Run, answers: Answers
) -> dict[str, Any]:
    result = {"status": status, "startedAt": instant_text(start, answers, run.run_id)}
    if stop is not None:
        result |= {"finishedAt": instant_text(stop, answers, run.run_id), "message": message}
    return result
