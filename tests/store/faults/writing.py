"""Uses a store in a process of its own, to be killed or refused: `python -m store.faults.writing URL WHAT [COUNT]`.

commit   opens as the service does and commits `change(1)` to `change(COUNT)`; says "committed 7" after the seventh
ask      opens as the service does; for each line of its input it commits one more and says how that went
look     opens as a command does and says which runs are unfinished
"""

import sys
from dataclasses import replace
from datetime import UTC, datetime

from exporter.core.model import PipelineKey, Run, Status
from exporter.core.state import Change, Cursor, PipelineState, RunCounts, RunRecord
from exporter.store import record
from exporter.store.database import Database
from exporter.store.errors import StoreError

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LOAD = PipelineKey("p1", "prod", "finance/load.orch.yaml")


def running(run_id):
    run = Run(run_id=run_id, pipeline=LOAD, status=Status.RUNNING, status_text="RUNNING", started_at=NOON)
    return RunRecord(run=run, first_seen_at=NOON)


def ended(run_id):
    run = replace(running(run_id).run, status=Status.SUCCESS, status_text="SUCCESS", finished_at=NOON)
    return RunRecord(run=run, first_seen_at=NOON, finished_seen_at=NOON)


def change(number):
    """Every row of it says `number`: what is read back is all of one commit, or it is not."""
    counts = RunCounts(started=(number, 0, 0, 0, 0))
    return Change(
        runs=(
            replace(running("runs"), run=replace(running("runs").run, message=str(number))),
            ended(f"ended-{number}"),
        ),
        pipelines=(PipelineState(key=LOAD, first_seen_at=NOON, watched_since=NOON, counts=counts),),
        project_names={"p1": f"name {number}"},
        cursor=Cursor(possibly_missed=number),
    )


def main(url, what, count="0"):
    try:
        database = Database.open(url, exclusive=what != "look", now=NOON)
        say("open")
        if what == "commit":
            for number in range(1, int(count) + 1):
                commit(database, number)
        elif what == "ask":
            for number, _ in enumerate(sys.stdin, start=1):
                try:
                    commit(database, number)
                except StoreError as error:
                    say(f"{type(error).__name__}: {error}")
        else:
            with database.reading() as connection:
                say(*sorted(record.load(connection).unfinished))
        database.close()
    except StoreError as error:
        say(f"{type(error).__name__}: {error}")
        return 1
    return 0


def commit(database, number):
    with database.transaction() as connection:
        record.write(connection, change(number))
    say(f"committed {number}")


def say(*words):
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
