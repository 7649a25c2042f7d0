"""One campaign on one store: quiet start, moves, calm, verdict."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from e2e.processes import until

from .account import UNFINISHED
from .moves import Director
from .schedule import schedule
from .stage import Stage
from .store import OPEN, opened
from .verdict import Verdict, judge

REST_SECONDS = 150.0
"""How long the service may take to tell and count everything once nothing goes wrong any more."""


def campaign(
    folder: Path, *, kind: str, replicas: int, seed: int, seconds: float, say: Callable[[str], None]
) -> Verdict:
    """Run it and judge it."""
    with opened(kind, folder, replicas=replicas) as store:
        without = set()
        if not shutil.which("strace"):
            without |= {"kill_write", "disk_error"}
        if not store.mounted:
            without |= {"disk_full"}
        with Stage(folder, store) as stage:
            if not stage.faketime:
                without |= {"clock"}
            if kind == "postgresql":
                without -= {"disk_full", "disk_error", "kill_write"}  # of a disk that is not ours
            for missing in sorted(without):
                say(f"NOT DONE on this machine: {missing} (needs root, or Debian's strace and faketime)")
            if os.environ.get("CI") == "true":  # there a program that is missing is a failure
                stage.trouble += [f"not done: {missing}" for missing in sorted(without - {"disk_full"})]
            _begin(stage)
            moves = schedule(seed, seconds, shared_store=kind == "postgresql", without=frozenset(without))
            Director(stage, moves, seconds=seconds, say=say).run()
            _calm(stage, say)
            return judge(stage, f"{store.name}{f', {replicas} replicas' if replicas > 1 else ''}")


def _begin(stage: Stage) -> None:
    """The first start is on a history of failures: nobody is told of it."""
    for _ in range(5):
        stage.account.history |= set(
            stage.account.make(pipelineName="finance/load-1.orch.yaml", status="FAILED", ago="5m", duration="10s")
        )
    for replica in stage.replicas:
        replica.start()
    stage.up()


def _calm(stage: Stage, say: Callable[[str], None]) -> None:
    """Nothing goes wrong any more: what is left to be told is told, what is left to be counted is counted."""
    stage.disarm()
    stage.simulator.calm_down()
    for run_id, run in stage.account.runs().items():
        if run["status"] in UNFINISHED:
            stage.simulator.end_run(run_id)
    for target in stage.targets.values():
        target.be("")
    for replica in stage.replicas:
        replica.clock.write_text("+0")
        replica.end()
    stage.excuse()  # a delivery may have killed its sender after the last move
    stage.new_url()  # what was suspended, held back or too doubtful is tried at once
    for replica in stage.replicas:
        replica.start()
    stage.up()
    stage.retry_dead_letters()
    say("calm: waiting until everything has ended, is told and counted")
    began = time.perf_counter()
    try:
        until(lambda: _at_rest(stage), timeout=REST_SECONDS, every=1.0, what="everything has come to rest")
    except AssertionError:
        say(f"it has not come to rest in {REST_SECONDS:.0f} s; what is missing counts as lost")
    say(f"at rest after {time.perf_counter() - began:.0f} s")
    stage.look_everywhere_for_secrets()


def _at_rest(stage: Stage) -> bool:
    """Whether all runs have ended and two polls later nothing waits."""
    if any(run["status"] in UNFINISHED for run in stage.account.runs().values()):
        return False
    if stage.rested_since is None:
        stage.rested_since = stage.now()
    return stage.now() - stage.rested_since > 4 and not stage.store.rows(OPEN)
