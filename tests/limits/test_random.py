"""No wrong PATCH, whatever happens: random runs, ends, faults, kills, clocks and config changes, all from one seed.

A witness stands between canceller and API: at the instant of every PATCH it asks the simulator what is true, and judges
by its own reading of the limits. A run that ended between our look and our request has ended by itself: that is no
mistake. The long form, 10,000 runs, takes some minutes:

    MAIA_RANDOM_LIMITS=10000 pytest -s tests/limits/test_random.py
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.core.globs import Scope
from exporter.core.limits.rules import LimitRule, Mode
from exporter.maia.errors import MaiaError

from .rig import Killed, Rig, limit

RUNS = int(os.environ.get("MAIA_RANDOM_LIMITS", "240"))
RUNS_A_LIFE = 60
POLLS = 30
UNFINISHED = ("RUNNING", "CANCELLING")
LISTS = "/dpc/v1/pipeline-executions"

MANNERS = ("obeys", "obeys", "finishes", "ignores", "deaf", "immortal")
TRIGGERS = ("SCHEDULE", "SCHEDULE", "API", "SCHEDULE_RUN_NOW", "DESIGNER")
POINTS = ("decided", "looking", "looked", "claiming", "claimed", "sending", "sent", "recording", "recorded")

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "method": "PATCH", "status": 503, "count": 1},
    {"kind": "status", "method": "PATCH", "status": 409, "count": 1},
    {"kind": "status", "method": "PATCH", "status": 403, "count": 1},
    {"kind": "patch_applied", "count": 2},
    {"kind": "patch_race", "count": 1},
    {"kind": "reset", "count": 2},
    {"kind": "html", "count": 2},
    {"kind": "stale", "seconds": 3600.0},
    {"kind": "stale", "seconds": 45.0},
    {"kind": "late", "seconds": 600.0, "share": 0.5},
    {"kind": "status", "path": LISTS, "status": 502, "count": 3},
    {"kind": "malformed", "records": 5},
    {"kind": "unknown_status", "records": 3},
)

RULES: tuple[tuple[LimitRule, ...], ...] = (
    (limit(force_after=timedelta(minutes=2), stuck_after=timedelta(minutes=3)),),
    (limit(),),
    (limit(warn_after=None, cancel_after=timedelta(minutes=10)),),
    (limit(cancel_after=timedelta(hours=2)),),
    (limit(mode=Mode.OBSERVE),),
    (limit(mode=Mode.WARN),),
    (limit(scope=Scope(environments=("test",))),),
    (limit(triggers=("*",), force_after=timedelta(minutes=1)),),
    (limit(name="first", mode=Mode.OBSERVE, triggers=("API",)), limit()),
)


class Witness:
    """The client, watched: what was true at each look, and at each PATCH whether it was right."""

    def __init__(self, rig: RandomRig, client: Any) -> None:
        self._rig = rig
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_run(self, project_id: str, run_id: str) -> Any:
        self._rig.looked[run_id] = self._rig.truth(run_id)["status"]
        return self._client.get_run(project_id, run_id)

    def cancel(self, project_id: str, run_id: str, *, force: bool) -> None:
        self._rig.judge(run_id, force=force)
        self._client.cancel(project_id, run_id, force=force)


class RandomRig(Rig):
    """A rig whose every PATCH is judged."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self.looked: dict[str, str] = {}
        self.wrong: list[str] = []
        self.asked: Counter[tuple[str, bool]] = Counter()
        super().__init__(*arguments, **settings)

    def restart(self) -> None:
        super().restart()
        self.looked.clear()  # a new process has seen nothing
        self.client: Any = Witness(self, self.client)

    def truth(self, run_id: str) -> dict[str, Any]:
        return dict(self.control("GET", f"runs/{run_id}"))

    def judge(self, run_id: str, *, force: bool) -> None:
        run = self.truth(run_id)
        self.asked[run_id, force] += 1
        rule = next((rule for rule in self.rules if is_about(rule, run)), None)
        age = self.clock.at - datetime.fromisoformat(run["startedAt"])
        verdicts = {
            "no look before it": run_id in self.looked,
            "had ended at the look": self.looked.get(run_id) in UNFINISHED,
            "somebody had asked already": force or self.looked.get(run_id) == "RUNNING",
            "no limit in mode cancel": rule is not None and rule.mode is Mode.CANCEL,
            "within its limit": rule is not None and rule.cancel_after is not None and age > rule.cancel_after,
            "never to be forced": not force or (rule is not None and rule.force_after is not None),
            "forced before it was asked": not force or self.asked[run_id, False] > 0,
            "asked again and again": self.asked[run_id, force] <= 2,  # the second after an unclear answer
            "the clocks differ": abs(self.our_clock_is_off) <= timedelta(minutes=1),
            "not on duty": self.on_duty,
        }
        self.wrong += [f"{run_id} force={force} {why}: {run}" for why, fine in verdicts.items() if not fine]


def is_about(rule: LimitRule, run: dict[str, Any]) -> bool:
    """Whether a limit is about a run; the globs of these limits are plain words or everything."""
    return run["environmentName"] in rule.scope.environments and (
        rule.triggers == ("*",) or run["trigger"] in rule.triggers
    )


class Life:
    """One account, one record, and everything that happens to them in a quarter of an hour."""

    def __init__(self, rig: RandomRig, chance: random.Random) -> None:
        self.rig = rig
        self.chance = chance
        self.runs: list[str] = []
        self.restarts = 0

    def goes_on(self) -> None:
        for number in range(POLLS):
            for _ in range(RUNS_A_LIFE // 10 if number < 10 else 0):
                self.a_run_starts()
            if number % 2:
                self.something_happens()
            try:
                self.rig.cycle()
            except Killed:
                self.a_new_process()
            except MaiaError:
                pass  # a poll that failed changes nothing
            self.rig.clock.move(seconds=self.rig.interval.total_seconds())

    def a_run_starts(self) -> None:
        age = self.chance.uniform(0, 45 * 60)
        ends_in = self.chance.choice((None, self.chance.uniform(1, 900)))
        more = {} if ends_in is None else {"duration": f"{int(age + ends_in) + 1}s"}
        self.runs.append(
            self.rig.run(
                age=f"{int(age)}s",
                environment=self.chance.choice(("prod", "prod", "test")),
                trigger=self.chance.choice(TRIGGERS),
                cancel=self.chance.choice(MANNERS),
                **more,
            )
        )

    def something_happens(self) -> None:
        self.chance.choice(
            (
                self.the_config_changes,
                self.the_config_changes_at_a_point,
                self.it_is_killed_at_a_point,
                self.runs_end_at_a_point,
                self.the_api_fails,
                self.the_api_fails,
                self.the_api_is_well,
                self.a_clock_is_set,
                self.it_was_stopped,
                self.a_new_process,
            )
        )()

    def the_config_changes(self) -> None:
        self.rig.rules = self.chance.choice(RULES)

    def the_config_changes_at_a_point(self) -> None:
        self.rig.at[self.chance.choice(("decided", "looking"))] = self.the_config_changes

    def it_is_killed_at_a_point(self) -> None:
        def kill() -> None:
            raise Killed

        self.rig.at[self.chance.choice(POINTS)] = kill

    def runs_end_at_a_point(self) -> None:
        self.rig.at[self.chance.choice(POINTS)] = self.runs_end

    def runs_end(self) -> None:
        for run_id in self.chance.sample(self.runs, len(self.runs) // 2):
            if self.rig.status(run_id) in UNFINISHED:
                self.rig.end(run_id, self.chance.choice(("SUCCESS", "FAILED", "CANCELLED")))

    def the_api_fails(self) -> None:
        self.rig.fault(**self.chance.choice(FAULTS))

    def the_api_is_well(self) -> None:
        self.rig.healed()
        self.rig.our_clock_is_off = timedelta(0)

    def a_clock_is_set(self) -> None:
        self.rig.our_clock_is_off = timedelta(seconds=self.chance.choice((0, 20, -20, 10_800, -10_800)))

    def it_was_stopped(self) -> None:
        self.rig.at[self.chance.choice(POINTS)] = lambda: self.rig.clock.move(minutes=self.chance.choice((1, 30)))

    def a_new_process(self) -> None:
        self.rig.at.clear()
        self.rig.healed()  # a start needs an answer
        self.rig.restart()
        self.restarts += 1


def test_whatever_happens_no_patch_is_wrong(tmp_path: Path):
    runs = patches = restarts = 0
    for seed in range(-(-RUNS // RUNS_A_LIFE)):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        rig = RandomRig(folder, *chance.choice(RULES), max_per_hour=chance.choice((3, 1000, 1000)))
        life = Life(rig, chance)
        try:
            life.goes_on()
            assert rig.wrong == [], f"seed {seed}"
            seen = [run_id for run_id, _, _ in rig.patches()]
        finally:
            rig.close()
        assert set(seen) <= {run_id for run_id, _ in rig.asked}, "each PATCH on the wire was judged"
        runs, patches, restarts = runs + len(life.runs), patches + len(seen), restarts + life.restarts

    assert runs >= RUNS
    assert patches > runs // 50, "or nothing was put to the test"
    assert restarts
    sys.stdout.write(f"{runs} runs, {patches} PATCHes, none wrong; {restarts} restarts\n")
