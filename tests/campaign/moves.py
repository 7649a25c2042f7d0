"""Does what the schedule says, to the processes on the stage."""

from __future__ import annotations

import heapq
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

from crash.harness import Trigger
from e2e.processes import Process

from .schedule import Move
from .stage import BAD_CONFIGS, Replica, Stage
from .store import OUTAGES, PostgresStore, SqliteStore

_RELOADED = "maia_exporter_config_last_reload_success_timestamp_seconds"
_POLLS = "maia_exporter_polls_total"

ARMED_SECONDS = 4.0
"""How long a service waits for the delivery at which it is to be killed."""


class Director:
    """Makes each move when its time has come; what ends by itself is a later move of its own."""

    def __init__(self, stage: Stage, moves: list[Move], *, seconds: float, say: Callable[[str], None]) -> None:
        """`seconds` is when it ends, on a slow machine with fewer moves made."""
        self._stage = stage
        self._seconds = seconds
        self._say = say
        self._numbers = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None], str]] = []
        self._turn = 0
        self._store_is_broken_until = 0.0
        self._bad_configs = list(BAD_CONFIGS)
        self._armed: list[tuple[float, Trigger, Replica, Process]] = []
        for move in moves:
            self._at(move.at, lambda move=move: self._make(move), str(move))

    def run(self) -> None:
        """All of it, or as much as there is time for."""
        self._began = began = time.perf_counter()
        while self._queue:
            at, _, act, text = heapq.heappop(self._queue)
            if time.perf_counter() - began < self._seconds:
                self._wait(at)
            elif text:
                continue
            if text:
                self._say(text)
            act()

    def _make(self, move: Move) -> None:
        what = dict(move.what)
        if what.pop("serving", False):
            self._until_serving()
        getattr(self, f"_{move.kind}")(**what)

    def _until_serving(self) -> None:
        """Let time stand still until all replicas serve: nothing comes of killing what has not begun, for ever."""
        began = time.perf_counter()
        while not all(replica.serves for replica in self._stage.replicas) and time.perf_counter() - began < 40:
            if self._store_is_broken or any(replica.stopped for replica in self._stage.replicas):
                break
            self._keep_alive()
            self._stage.never.wait(0.1)
        self._began += time.perf_counter() - began

    def _wait(self, at: float) -> None:
        while (left := self._began + at - time.perf_counter()) > 0:
            self._keep_alive()
            self._stage.never.wait(min(left, 0.2))
        self._keep_alive()

    def _at(self, at: float, act: Callable[[], None], text: str = "") -> None:
        heapq.heappush(self._queue, (at, next(self._numbers), act, text))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._at(time.perf_counter() - self._began + seconds, act)

    def _keep_alive(self) -> None:
        """What has died is started again, as a supervisor does; it may die of us, or of a store that does not work."""
        self._let_go()
        for replica in self._stage.replicas:
            process = replica.process
            if process is None or process.ended() is None:
                continue
            if replica.going and not self._store_is_broken and process.ended() != -signal.SIGKILL:
                self._stage.trouble.append(f"it ended by itself with {process.ended()}: {process.text[-600:]}")
            replica.going = False
            self._stage.excuse()
            if process.ended() == -signal.SIGKILL:
                self._stage.count["kills"] += 1
            else:
                self._stage.count["other ends"] += 1
                self._stage.never.wait(1)
            replica.start()

    def _let_go(self) -> None:
        """Who was to be killed at a delivery that did not come may have been stopped for it: it goes on."""
        while self._armed and self._armed[0][0] < time.perf_counter():
            _, trigger, replica, process = self._armed.pop(0)
            trigger.arm(0, "")
            if not replica.stopped and process.ended() is None:
                os.kill(process.pid, signal.SIGCONT)

    def _moment(self) -> None:
        self._let_go()
        self._stage.never.wait(0.1)

    # The account

    def _run(self, **what: Any) -> None:
        self._stage.account.make(**what)

    # The host

    def _next(self) -> Replica:
        """Each replica in its turn."""
        self._turn += 1
        return self._stage.replicas[self._turn % len(self._stage.replicas)]

    def _nothing(self) -> None:
        """A while of peace."""

    def _kill(self, *, both: bool = False) -> None:
        for replica in self._stage.replicas if both else [self._next()]:
            replica.kill()

    def _kill_at(self, *, target: str, step: str) -> None:
        """At that step of its next delivery, if there is one soon."""
        trigger = self._stage.slack_trigger if target == "slack" else self._stage.mail_trigger
        replica = self._next()
        if replica.process and not replica.stopped:
            trigger.arm(replica.process.pid, step)
            self._armed.append((time.perf_counter() + ARMED_SECONDS, trigger, replica, replica.process))

    def _kill_write(self, *, write: int) -> None:
        self._trace(self._next(), 3, "fsync,fdatasync", f"fsync,fdatasync:signal=SIGKILL:when={write}")

    def _restart(self) -> None:
        replica = self._next()
        replica.end()
        replica.start()

    def _pause(self, *, seconds: float) -> None:
        replica = self._next()
        if replica.stopped:
            return
        replica.pause()
        self._stage.count["pauses"] += 1
        self._stage.excuse()
        self._later(seconds, replica.resume)

    def _pause_at_look(self, *, seconds: float) -> None:
        """Stop it between the look at a run and the request, end the run meanwhile, let it go on."""
        simulator, account = self._stage.simulator, self._stage.account
        replica = self._next()
        if replica.stopped or self._store_is_broken:
            return
        [run_id] = account.make(pipelineName="finance/nightly-4.orch.yaml", duration="60s", ago="9s")
        path = f"/dpc/v1/projects/*/pipeline-executions/{run_id}"
        fault = simulator.tell("faults", kind="drip", method="GET", path=path, seconds=0.3, bytes=150)["id"]

        def looked() -> bool:
            return any(
                entry["method"] == "GET" and entry["path"].endswith(run_id) and entry["status"] == 200
                for entry in self._recent_requests()
            )

        began = time.perf_counter()
        while time.perf_counter() - began < 6 and not looked():
            self._moment()
        seen = looked()
        if seen:
            replica.pause()
            self._stage.count["pauses at the last look"] += 1
            self._stage.excuse()
        self._unfault(fault)
        self._stage.end_if_going(run_id)
        if seen:
            self._stand_still(seconds)
            replica.resume()
            self._stand_still(2)
        self._began += time.perf_counter() - began

    def _stand_still(self, seconds: float) -> None:
        """Nothing else is done meanwhile: a kill would end what is to be seen."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self._keep_alive()
            self._moment()

    def _recent_requests(self) -> list[dict[str, Any]]:
        return self._stage.requests(seconds=8)

    def _disk_full(self, *, seconds: float) -> None:
        store = self._stage.store
        assert isinstance(store, SqliteStore)
        self._break_store(seconds)
        store.fill()
        self._stage.count["full disks"] += 1
        self._later(seconds, store.empty)

    def _disk_error(self, *, seconds: float, error: str) -> None:
        self._break_store(seconds)
        self._stage.count["disk errors"] += 1
        calls = "pwrite64,fsync,fdatasync,ftruncate"
        self._trace(self._next(), seconds, calls, f"{calls}:error={error}")

    @property
    def _store_is_broken(self) -> bool:
        return time.perf_counter() < self._store_is_broken_until

    def _break_store(self, seconds: float) -> None:
        """A service may end because of it until it has had time to begin again."""
        self._store_is_broken_until = max(self._store_is_broken_until, time.perf_counter() + seconds + 3)

    def _clock(self, *, seconds: float, offset: int) -> None:
        """Our clock jumps, and later back."""
        replica = self._next()
        replica.clock.write_text(f"{offset:+d}")
        self._stage.count["clock jumps"] += 1
        self._later(seconds, lambda: replica.clock.write_text("+0") and None)

    def _config(self, *, change: str) -> None:
        """Another config."""
        stage = self._stage
        stage.count[f"config: {change}"] += 1
        if change == "bad":
            replica = self._next()
            self._bad_configs = self._bad_configs[1:] + self._bad_configs[:1]
            word = self._bad_configs[0]
            if replica.reload(bad=BAD_CONFIGS[word]):
                process = replica.process
                self._later(4, lambda: self._must_have_refused(replica, process, word))
        elif change == "rate":
            stage.rates["mail"] = 90 if stage.rates["mail"] == 60 else 60
            self._reload()
        else:
            stage.set_mode("observe" if stage.mode == "cancel" else "cancel", self._take_up)

    def _reload(self) -> None:
        """Each replica reads its config again; what cannot now, will at its next start."""
        for replica in self._stage.replicas:
            replica.reload()

    def _take_up(self) -> None:
        """The same, and wait until it is in effect; a restart where that does not come soon, as under a fault."""
        for replica in self._stage.replicas:
            before = replica.sample(_RELOADED)
            if not (replica.reload() and before and self._in_effect(replica, before)):
                replica.end()
                replica.start()

    def _in_effect(self, replica: Replica, before: float) -> bool:
        """Whether the config is read within 3 s, and then two polls have ended within 5."""
        polls: float | None = None
        for _ in range(80):
            if polls is None and (replica.sample(_RELOADED) or 0) > before:
                polls = replica.sample(_POLLS)
            elif polls is not None and (replica.sample(_POLLS) or 0) >= polls + 2:
                return True
            self._moment()
        return False

    def _says_so(self, replica: Replica, process: Process | None, word: str) -> bool:
        """Whether a refused config shows within 10 s, and why in the log, while it is this process that serves."""
        for _ in range(100):
            if replica.process is not process or not replica.expected():
                return True
            shown = replica.sample("maia_exporter_config_last_reload_successful")
            if shown is None or (shown == 0 and process and word in process.text):
                return True
            self._moment()
        return False

    def _must_have_refused(self, replica: Replica, process: Process | None, word: str) -> None:
        """A bad file changes nothing and says so; then the good one is back."""
        if not self._says_so(replica, process, word):
            self._stage.trouble.append(f"a bad config ({word}) was read again, and it does not say that it was refused")
        replica.reload()

    def _server_restart(self) -> None:
        store = self._stage.store
        assert isinstance(store, PostgresStore)
        self._stage.excuse()
        self._stage.count["database restarts"] += 1
        beginning = [replica for replica in self._stage.replicas if not replica.serves]
        store.server.restart()
        for replica in beginning:
            replica.going = False  # one that finds no database at its start ends, and is started again
        self._stage.excuse()

    # The API

    def _outage(self) -> None:
        """The API is away for as long as it takes until somebody is told; nothing else is done meanwhile."""
        stage = self._stage
        if self._store_is_broken:
            return  # what cannot be written down is told to nobody
        began = time.perf_counter()
        while not any(replica.sample("maia_up") for replica in stage.replicas):
            if time.perf_counter() - began > 15:
                return  # something else keeps it from polling
            self._keep_alive()
            stage.never.wait(0.2)
        before = len(stage.store.rows(OUTAGES))
        fault = stage.simulator.tell("faults", kind="status", status=503)["id"]
        while len(stage.store.rows(OUTAGES)) == before:
            if time.perf_counter() - began > 75:
                stage.trouble.append("polls failed for a minute, and nobody is told")
                break
            self._keep_alive()
            stage.never.wait(0.5)
        stage.count["outages"] += 1
        self._unfault(fault)
        self._began += time.perf_counter() - began

    def _api(self, *, fault: str, for_seconds: float, **settings: Any) -> None:
        simulator = self._stage.simulator
        self._stage.count[f"api: {fault}"] += 1
        if fault == "revoke":
            simulator.tell("token/revoke")
        elif fault == "budget":
            simulator.tell("budget", **settings)
            self._later(for_seconds, lambda: simulator.tell("budget", requests_per_minute=1_000_000) and None)
        else:
            number = simulator.tell("faults", kind=fault, **settings)["id"]
            self._later(for_seconds, lambda: self._unfault(number))

    def _unfault(self, number: int) -> None:
        self._stage.unfault(number)

    # The targets

    def _target(self, *, target: str, mood: str, seconds: float) -> None:
        addressee = self._stage.targets[target]
        if mood not in addressee.moods:
            mood = "stored_drop"
        self._stage.count[f"targets: {mood}"] += 1
        addressee.be(mood)

        def well() -> None:
            addressee.be("")
            if mood in ("refuse", "throttle"):  # a person has seen to it
                self._stage.new_url()
                self._reload()

        self._later(seconds, well)

    # How

    def _trace(self, replica: Replica, seconds: float, calls: str, inject: str) -> None:
        """Let strace do something to some system calls of a running process."""
        strace = shutil.which("strace")
        if strace is None or replica.process is None or replica.process.ended() is not None or replica.stopped:
            return
        words = [strace, "-f", "-o", "/dev/null", "-p", str(replica.process.pid), "-e", f"trace={calls}"]
        tracer = subprocess.Popen([*words, "-e", f"inject={inject}"], stderr=subprocess.DEVNULL)
        self._later(seconds, lambda: _detach(tracer))


def _detach(tracer: subprocess.Popen[bytes]) -> None:
    if tracer.poll() is None:
        tracer.terminate()
    tracer.wait(10)
