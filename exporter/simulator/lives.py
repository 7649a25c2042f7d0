"""How pipelines live by themselves: when each run starts, how long it takes, how it ends.

A run is a pure function of (seed, project, environment, pipeline, number), and numbers count from 1970: a simulator
that is started again with the same script, seed and speed continues the same account. Must not keep state.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exporter.simulator.account import Pipeline, Run, named_id
from exporter.simulator.times import ZERO, floor_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.simulator.script import Moment

_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EIGHT, _WHOLE = struct.Struct("8Q"), 2**64
MESSAGES = {
    "SUCCESS": '"{last}": Success',
    "FAILED": '"{last}": SQL compilation error: Object does not exist or not authorized.',
    "CANCELLED": "The pipeline was cancelled.",
    "SKIPPED": "A run of this pipeline was still going.",
    "FORBIDDEN": "The runner's allow list does not permit this project and environment.",
    "UNKNOWN": "The agent stopped answering.",
}
"""What a run says when its script says nothing."""


def draw(*key: object) -> tuple[float, ...]:
    """Eight numbers from 0 up to 1 that are the same for the same key (a hash: 3 times as fast as seeding Random)."""
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode()).digest()
    a, b, c, d, e, f, g, h = _EIGHT.unpack(digest)
    return a / _WHOLE, b / _WHOLE, c / _WHOLE, d / _WHOLE, e / _WHOLE, f / _WHOLE, g / _WHOLE, h / _WHOLE


def choose(weights: Sequence[tuple[str, float]], share: float) -> str:
    """The word at this share (0 up to 1) of the weights."""
    if len(weights) == 1:
        return weights[0][0]
    left = share * sum([weight for _, weight in weights])
    for word, weight in weights:
        left -= weight
        if left < 0:
            return word
    return weights[-1][0]


class Life:
    """One pipeline's own life, for pipelines with `every`."""

    def __init__(self, pipeline: Pipeline, *, seed: int, scale: float, digits: int, find: Find) -> None:
        assert pipeline.spec.every is not None  # noqa: S101 - the world makes lives for these only
        self.pipeline = pipeline
        self._key = (seed, pipeline.project.spec.key, pipeline.environment, pipeline.name)
        self._scale, self._digits, self._find = scale, digits, find
        self._every = max(1, round(pipeline.spec.every / _MICROSECOND / scale))
        self._phase = int(draw(*self._key, "phase")[0] * self._every)

    def number_after(self, at: datetime) -> int:
        """The number of the first run that starts after an instant."""
        number = ((at - _1970) // _MICROSECOND - self._phase) // self._every - 1
        while self._start(number, draw(*self._key, number)[0]) <= at:
            number += 1
        return number

    def plan(self, number: int) -> Run:
        """The run with this number, as it will go if nobody interferes."""
        shares = draw(*self._key, number)
        trigger = choose(self.pipeline.spec.triggers, shares[4])
        return plan_run(
            self.pipeline,
            run_id=named_id(*self._key, number),
            start=self._start(number, shares[0]),
            trigger=trigger,
            shares=shares,
            scale=self._scale,
            digits=self._digits,
            find=self._find,
        )

    def _start(self, number: int, share: float) -> datetime:
        late = int(share * self.pipeline.spec.jitter * self._every)
        return floor_instant(_1970 + (self._phase + number * self._every + late) * _MICROSECOND, self._digits)


class Telling:
    """The runs of one moment that a script tells of: one, or the same again every so often."""

    def __init__(
        self, moment: Moment, pipeline: Pipeline, *, key: tuple[object, ...], epoch: datetime, scale: float, digits: int
    ) -> None:
        self._moment, self._pipeline, self._key = moment, pipeline, key
        self._epoch, self._scale, self._digits = epoch, scale, digits

    def plan(self, number: int) -> Run | None:
        """The run with this number, from 0; None after the last."""
        moment = self._moment
        if number and moment.every is None:
            return None
        at = moment.at + number * (moment.every or ZERO)
        run = Run(
            run_id=named_id(*self._key, number),
            pipeline=self._pipeline,
            created_at=self._instant(at),
            ends_at=None if moment.duration is None else self._instant(at + moment.duration),
            outcome="SUCCESS" if moment.status == "RUNNING" else moment.status,
            trigger=moment.trigger,
            cancel=moment.cancel or self._pipeline.spec.cancel,
            user=moment.user,
            dated=not moment.undated,
        )
        run.message = moment.message or message_for(run, run.outcome)
        return run

    def _instant(self, offset: timedelta) -> datetime:
        return floor_instant(self._epoch + offset / self._scale, self._digits)


def plan_run(
    pipeline: Pipeline,
    *,
    run_id: str,
    start: datetime,
    trigger: str,
    shares: Sequence[float],
    scale: float,
    digits: int,
    find: Find,
) -> Run:
    """A run of a pipeline, with its children, by eight shares as `draw` gives them."""
    spec = pipeline.spec
    outcome = choose(spec.outcomes, shares[2])
    takes = spec.duration / scale * (1 + spec.spread * (2 * shares[1] - 1))
    if outcome in ("FAILED", "CANCELLED", "UNKNOWN"):
        takes *= 0.2 + 0.8 * shares[3]
    elif outcome in ("SKIPPED", "FORBIDDEN"):
        takes = timedelta()
    run = Run(
        run_id=run_id,
        pipeline=pipeline,
        created_at=start,
        ends_at=None if outcome == "HANG" else floor_instant(start + takes, digits),
        outcome="SUCCESS" if outcome == "HANG" else outcome,
        trigger=trigger,
        cancel=spec.cancel,
        user=spec.users[int(shares[5] * len(spec.users))] if trigger in ("DESIGNER", "SCHEDULE_RUN_NOW") else "",
    )
    run.message = message_for(run, run.outcome, shares[6])
    if takes:
        run.children = tuple(_children(run, takes, digits=digits, find=find))
    return run


def message_for(run: Run, outcome: str, share: float = 0.0) -> str:
    """What a run that ends so says."""
    spec = run.pipeline.spec
    if outcome == "FAILED" and spec.messages:
        return spec.messages[int(share * len(spec.messages))]
    return MESSAGES.get(outcome, "").format(last=spec.steps[-1] if spec.steps else "Start")


def _children(parent: Run, takes: timedelta, *, digits: int, find: Find) -> list[Run]:
    called = parent.pipeline.spec.calls
    children: list[Run] = []
    for number, name in enumerate(called):
        pipeline = find(parent.pipeline, name)
        last = number == len(called) - 1
        start = floor_instant(parent.created_at + takes * (number + 0.3) / len(called), digits)
        end = floor_instant(parent.created_at + takes * (number + 0.9) / len(called), digits)
        hangs, fails = last and parent.ends_at is None, last and parent.outcome == "FAILED"
        child = Run(
            run_id=named_id(parent.run_id, "child", number),
            pipeline=pipeline,
            created_at=start,
            ends_at=None if hangs else end,
            outcome="FAILED" if fails else "SUCCESS",
            trigger=parent.trigger,
            cancel=pipeline.spec.cancel,
            user=parent.user,
            parent=parent,
        )
        child.message = parent.message if fails else message_for(child, "SUCCESS")
        child.children = tuple(_children(child, end - start, digits=digits, find=find))
        children.append(child)
    return children


if TYPE_CHECKING:
    Find = Callable[[Pipeline, str], Pipeline]
