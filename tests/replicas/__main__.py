"""The long version, by hand: `cd tests && python -m replicas [--events 1000] [--seconds 600] ...`; see --help.

Exit 1 when something was lost, repeated without need or mark, or cancelled twice.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path

from delivery.targets import OK, Answer
from e2e.processes import until
from store.server import PostgreSQL, why_no_postgresql

from .harness import LIMIT, Bench, Tally, seconds_until


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m replicas", description=__doc__)
    parser.add_argument("--events", type=int, default=1000, help="failing runs without any fault; 0 leaves it out")
    parser.add_argument("--seconds", type=int, default=600, help="of kill -9 of a random replica every 2 s")
    parser.add_argument("--hits", type=int, default=5, help="times that the leader is killed in the middle of a send")
    parser.add_argument("--pauses", type=int, default=3, help="times that the leader sleeps past its lease")
    parser.add_argument("--takeovers", type=int, default=5, help="times that the leader is ended, and killed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if missing := why_no_postgresql():
        say(missing)
        return 2
    tallies = []
    with PostgreSQL() as server:
        for name, scenario in (
            ("no fault", lambda: undisturbed(server, options.events)),
            ("kill -9 every 2 s", lambda: killed(server, options.seconds, random.Random(options.seed))),
            ("killed while sending", lambda: killed_while_sending(server, options.hits)),
            ("asleep past the lease", lambda: asleep(server, options.pauses)),
            ("taken over", lambda: taken_over(server, options.takeovers)),
        ):
            tally = scenario()
            if tally is not None:
                tallies.append(tally)
                say(f"{name:<22} {tally}")
    return 0 if all(tally.good for tally in tallies) else 1


def undisturbed(server: PostgreSQL, events: int) -> Tally | None:
    if not events:
        return None
    with Bench(folder(), server) as bench:
        bench.fail(events)
        return bench.finish(timeout=600)


def killed(server: PostgreSQL, seconds: int, chance: random.Random) -> Tally | None:
    """A new process takes the place of the killed one at once; runs fail and hang all the while."""
    if not seconds:
        return None
    never = threading.Event()

    def slowly(_: object) -> Answer:
        """So slow that kills hit sends."""
        never.wait(0.4)
        return OK

    with Bench(folder(), server, extra=LIMIT) as bench:
        bench.hook.answer = slowly
        kills = leaders = 0
        for _ in range(seconds // 2):
            bench.fail(3)
            never.wait(2)
            number = chance.randrange(len(bench.services))
            leaders += bench.may_lead(bench.services[number])
            bench.services[number].end(signal.SIGKILL)
            kills += 1
            bench.restart(number)
        say(f"{'':<22} {kills} kills, {leaders} of them of the leader")
        return bench.finish(timeout=600)


def killed_while_sending(server: PostgreSQL, hits: int) -> Tally | None:
    if not hits:
        return None
    with Bench(folder(), server) as bench:
        for _ in range(hits):
            leader = bench.leader()
            held = threading.Event()
            bench.hook.answer = Answer(after=held)
            posts = len(bench.hook.posts)
            bench.fail(3)
            bench.hook.wait_for(posts + 1, timeout=60)
            leader.end(signal.SIGKILL)
            bench.hook.answer = OK
            held.set()
            bench.restart(bench.services.index(leader))
            bench.leader(but=leader)
            bench.polled()
        return bench.finish(timeout=600)


def asleep(server: PostgreSQL, pauses: int) -> Tally | None:
    """Stopped in the middle of a send, while it looks at a run that it is about to ask to stop."""
    if not pauses:
        return None
    with Bench(folder(), server, extra=LIMIT) as bench:
        for _ in range(pauses):
            leader = bench.leader()
            bench.simulator.fault("latency", path="*/pipeline-executions/*", method="GET", seconds=5)
            run = bench.hang()
            until(bench.simulator.struck, what="it looks at the run")
            held = threading.Event()
            bench.hook.answer = Answer(after=held)
            posts = len(bench.hook.posts)
            bench.fail(1)
            bench.hook.wait_for(posts + 1, timeout=60)
            os.kill(leader.pid, signal.SIGSTOP)
            bench.simulator.calm_down()
            bench.leader(but=leader)
            bench.hook.answer = OK
            until(lambda run=run: run in bench.asked_to_stop(), what="the new leader cancels")
            held.set()
            os.kill(leader.pid, signal.SIGCONT)
            until(lambda leader=leader: leader.sample("maia_exporter_is_leader") == 0, what="it has noticed")
            bench.polled()
        return bench.finish(timeout=600)


def taken_over(server: PostgreSQL, times: int) -> Tally | None:
    if not times:
        return None
    with Bench(folder(), server) as bench:
        for number, word in ((signal.SIGTERM, "SIGTERM"), (signal.SIGKILL, "kill -9")):
            took = []
            for _ in range(times):
                leader = bench.leader()
                other = bench.other(leader)
                until(lambda other=other: other.get("/-/ready").status_code == 200)
                bench.polled(leader)
                os.kill(leader.pid, number)
                took.append(seconds_until(lambda other=other: bench.leads(other), timeout=60))
                leader.end()
                bench.restart(bench.services.index(leader))
                bench.fail(2)
            say(f"{'':<22} {word}: another leads after {', '.join(f'{each:.1f}' for each in took)} s")
        return bench.finish(timeout=600)


def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="maia-replicas-"))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
