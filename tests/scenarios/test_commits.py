"""Commits that happen and are not heard of, or do not happen: nothing goes on from memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exporter.core.state import Change, State
from exporter.store import record
from exporter.store.errors import NotLeading, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from exporter.store.database import Database

    from .service import Service


class Unsure:
    """A store whose next commits go as `fate` says: "heard", "unheard" (it has happened), "lost", "fenced"."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reading = database.reading
        self.fate = "heard"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if self.fate == "fenced":
            raise NotLeading("write the record: another replica leads")
        with self._database.transaction() as connection:
            yield connection
            if self.fate == "lost":
                raise StoreUnavailable("write the record: the connection broke")
        if self.fate == "unheard":
            raise StoreUnavailable("write the record: the connection broke")


@pytest.fixture
def store(service: Service) -> Unsure:
    service.rounds(3)
    store = Unsure(service.database)
    service.watch.desk.account.database = store  # type: ignore[assignment]
    return store


@pytest.mark.parametrize("fate", ["unheard", "lost"])
def test_a_run_counts_once_whatever_became_of_its_commit(service: Service, store: Unsure, fate: str) -> None:
    going = service.simulated.run(ago="1m")
    service.rounds()
    service.simulated.run(status="FAILED", message="ORA-00942")
    service.simulated.end(going)
    store.fate = fate
    assert service.poll() is False
    assert not service.readiness.verdict().good
    store.fate = "heard"
    service.rounds(2)

    scraped = service.scrape()
    for status in ("FAILED", "SUCCESS"):
        assert scraped.value("maia_pipeline_runs_finished_total", status=status, project_name="Finance") == 1
    assert scraped.value("maia_pipeline_active_runs", status="RUNNING", project_name="Finance") == 0
    assert scraped.total("maia_exporter_poll_failures_total", cause="store") == 1
    assert service.readiness.verdict().good


def test_what_another_process_has_written_meanwhile_is_what_counts(service: Service, store: Unsure) -> None:
    """This one slept: it may write nothing, and when it leads again it begins from the record."""
    service.simulated.run(status="FAILED")
    store.fate = "fenced"
    assert service.poll() is False
    assert service.readiness.verdict().good, "it is no failure of the store"
    with service.database.transaction() as connection:
        record.write(connection, Change(cursor=replace(service.state.cursor, possibly_missed=7)))
    store.fate = "heard"
    service.rounds(2)

    scraped = service.scrape()
    assert scraped.value("maia_exporter_possibly_missed_runs_total") == 7
    assert scraped.value("maia_pipeline_runs_finished_total", status="FAILED", project_name="Finance") == 1
    assert scraped.total("maia_exporter_poll_failures_total", cause="store") == 0


class Unreadable:
    """Somebody whose part of the record cannot be read."""

    def load(self, state: State) -> None:
        raise StoreUnavailable("read the record: the disk does not answer")


def test_of_a_record_that_cannot_be_taken_up_whole_nothing_is_shown(service: Service):
    service.simulated.run()
    service.rounds(3)
    life = service.restarted()
    desk = life.watch.desk
    desk.account.state = State()
    desk.account.publish()
    whole, desk.followers = desk.followers, (Unreadable(),)  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable):
        desk.take_up()
    assert not life.scrape().pipelines(), "counters of limits would have been shown as 0"

    desk.followers = whole
    desk.take_up()
    assert life.scrape().pipelines()
