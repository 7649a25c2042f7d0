"""Memory, by the kernel's own account (VmHWM, VmRSS): the service beside the peer on the same account.

Three sizes; what ten thousand polls add; and what 5,000 failures in one poll add.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from delivery.targets import HttpTarget
from e2e.processes import Process, Simulator, free_port, until

from .poll import polling
from .programs import UNLIMITED, a_folder, in_a_process_of_its_own, memory_of, running, service, simulator
from .start import scraped
from .table import Effort, Goal, Row, by_turns

RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
SCRIPT = f"""
history = "0s"
requests_per_minute = {UNLIMITED}
[[projects]]
name = "Finance"
environments = ["prod"]
[[pipelines]]
project = "Finance"
name = "a-{{n}}.orch.yaml"
count = 200
"""
RUN = """
[[runs]]
project = "Finance"
pipeline = "a-{number}.orch.yaml"
at = "15s"
duration = "100ms"
status = "FAILED"
"""
GOALS = {200: 110, 10_000: 250}
EVERY = {10_000: "4h"}
"""How often a pipeline runs, where not every hour: a simulator of more runs takes minutes to start."""
FAILING = 20
"""Of so many endings one is a failure."""


def measure(effort: Effort) -> Iterator[Row]:
    for pipelines in (20,) if effort.quick else (200, 2_000, 10_000):
        yield at_most(pipelines, polls=effort(30, 3), repeats=effort(5 if pipelines == 200 else 2, 1))
    yield five_thousand_failures(effort)
    yield growth(effort)


def at_most(pipelines: int, *, polls: int, repeats: int) -> Row:
    with (
        a_folder() as folder,
        simulator(folder, pipelines=pipelines, speed=10, history="1d", every=EVERY.get(pipelines, "1h")) as simulated,
    ):
        ours, theirs = by_turns(lambda: of_service(simulated.url, polls), lambda: of_peer(simulated.url), repeats)
    return Row(
        what=f"the most memory ever, {pipelines:,} pipelines, {polls} polls and all history read",
        unit="MB",
        ours=ours,
        theirs=theirs,
        against="the peer after its first scrape",
        goal=Goal(GOALS[pipelines]) if pipelines in GOALS else None,
    )


def of_service(api: str, polls: int) -> float:
    with a_folder() as folder, service(folder, api) as ours:
        ours.up(timeout=60)
        until(lambda: (ours.sample("maia_exporter_polls_total") or 0) >= polls, timeout=600, every=0.5)
        until(lambda: "History has been read" in ours.text, timeout=300, every=0.5, what="history is read")
        return memory_of(ours.pid)[0]


def of_peer(api: str) -> float:
    port = free_port()
    with (
        a_folder() as folder,
        running(Process(sys.executable, "-m", "bench.peer", api, str(port), folder=folder, name="peer")) as peer,
    ):
        scraped(port)
        return memory_of(peer.pid)[0]


def growth(effort: Effort) -> Row:
    """What memory there is after ten thousand polls beside what there was after the first thousand."""
    pipelines, polls = effort(200, 20), effort(10_000, 50)
    after = in_a_process_of_its_own(memory_while_polling, pipelines, polls)
    return Row(
        what=f"memory after each further tenth of {polls:,} polls, {pipelines} pipelines",
        unit="MB",
        ours=tuple(after[1:]),
        theirs=tuple(after[:1] * (len(after) - 1)),
        against="after the first tenth",
        goal=Goal(1.05, of_ratio=True),
    )


def memory_while_polling(pipelines: int, polls: int) -> list[float]:
    """MB after each tenth of so many polls on a full record, one after the other; a twentieth of the pipelines change.

    Most endings are successes: of failures in a row the newest 256 are kept of each pipeline, which takes long to fill.
    """
    found = []
    with a_folder() as folder, polling(folder, pipelines, pipelines * 500, failing=FAILING) as (watch, account, _):
        for number in range(1, polls + 1):
            account.move_on(max(2, pipelines // 20))
            watch.poller.poll()
            if number % (polls // 10) == 0:
                found.append(memory_of()[1])
    return found


def five_thousand_failures(effort: Effort) -> Row:
    """Every run is told, and the memory that it takes."""
    failures = effort(5_000, 50)
    with a_folder() as folder:
        script = folder / "failures.toml"
        script.write_text(script_of(failures))
        target = HttpTarget()
        try:
            with running(Simulator(folder, script=script, speed=1)) as simulated:
                before, after = told(folder, simulated, target, failures)
        finally:
            target.stop()
    return Row(
        what=f"{failures:,} failures in one poll, all told: memory that is added",
        unit="MB",
        ours=(after - before,),
        goal=Goal(100),
    )


def told(folder: Path, simulated: Simulator, target: HttpTarget, failures: int) -> tuple[float, float]:
    alerts = f'[[targets]]\nname = "inbox"\nurl = "json://127.0.0.1:{target.port}/"\nmax_per_minute = 6000\n'
    with service(folder, simulated.url, interval="2s", extra=alerts) as ours:
        ours.up()
        before = memory_of(ours.pid)[0]
        until(lambda: told_of(target)[0] >= failures, timeout=600, every=1.0, what=f"{failures} runs are told")
        assert told_of(target)[1] == 0, "some run was told twice"
        return before, memory_of(ours.pid)[0]


def told_of(target: HttpTarget) -> tuple[int, int]:
    """How many runs were told, and how many of them more than once."""
    with target.arrived:
        posts = list(target.posts)
    told = Counter(run for post in posts for run in set(RUN_ID.findall(post.body)))
    return len(told), sum(times > 1 for times in told.values())


def script_of(failures: int) -> str:
    """So many runs that fail at one instant, fifteen seconds after the start."""
    runs = (RUN.format(number=number % 200 + 1) for number in range(failures))
    return SCRIPT + "".join(runs)
