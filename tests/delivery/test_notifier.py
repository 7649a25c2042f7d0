"""The notifier with its real threads: what hangs, what is stopped, what changes while it runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from e2e.processes import free_port
from sqlalchemy import Connection

from exporter import apprise_channel
from exporter.clock import SystemClock
from exporter.core.notice import Decision
from exporter.core.routing import Routing
from exporter.notifier.news import reporter
from exporter.notifier.office import Endpoint, Office, Settings
from exporter.notifier.service import Notifier
from exporter.store import outbox, outbox_views
from exporter.store.database import Database
from exporter.store.errors import StoreUnavailable

from .post import COMPOSER, NOON, Heard, decision, event_ids
from .targets import OK, Answer

CLOCK = SystemClock()


class MoodyStore:
    """A store whose writes fail while `full` is set, as on a full disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.full = threading.Event()
        self.reading = database.reading

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if self.full.is_set():
            raise StoreUnavailable("write the record: the disk is full")
        with self._database.transaction() as connection:
            yield connection


class Service:
    """A notifier on a store, and what a poller would do."""

    def __init__(self, database: Database) -> None:
        self.store = MoodyStore(database)
        self.heard = Heard()
        self.changed = threading.Condition()
        self.heard.deliveries_stand = self._stand  # type: ignore[method-assign]
        self.notifier: Notifier | None = None

    def start(self, heartbeat_url: str = "", **urls: str) -> Notifier:
        office = Office(
            database=self.store,  # type: ignore[arg-type]
            clock=CLOCK,
            boot="this one",
            channel=apprise_channel,
            pause=lambda failures: timedelta(milliseconds=50),
            report=reporter(lambda: Routing(targets=tuple(urls))),
            watcher=self.heard,
        )
        self.notifier = Notifier(office, settings(heartbeat_url=heartbeat_url, **urls))
        self.notifier.start()
        return self.notifier

    def record(self, *decisions: Decision) -> None:
        with self.store.transaction() as connection:
            outbox.record(connection, decisions, now=CLOCK.now())
        if self.notifier:
            self.notifier.wake()

    def until(self, condition: Callable[[outbox_views.Standing], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.heard.standing), 20), self.heard.standing

    def _stand(self, standing: outbox_views.Standing) -> None:
        with self.changed:
            self.heard.standing = standing
            self.changed.notify_all()


def settings(heartbeat_url: str = "", **urls: str) -> Settings:
    return Settings(
        endpoints=tuple(Endpoint(name=name, url=url, per_minute=1000) for name, url in urls.items()),
        composer=COMPOSER,
        max_age=timedelta(days=36_500),
        retention=timedelta(days=36_500),
        heartbeat_url=heartbeat_url,
    )


@pytest.fixture
def service(file):
    database = Database.open(f"sqlite:///{file}", exclusive=True, now=NOON)
    running = Service(database)
    yield running
    if running.notifier:
        assert running.notifier.stop(10)
    database.close()


def told(*runs: str, targets: tuple[str, ...] = ("a", "b")) -> list[Decision]:
    return [decision(run, *targets, at=CLOCK.now()) for run in runs]


def test_a_target_that_hangs_delays_no_other_and_holds_up_no_stop(service, web_hook):
    let_go = threading.Event()
    hung, prompt = web_hook(Answer(after=let_go)), web_hook()
    notifier = service.start(a=hung.url, b=prompt.url)
    service.record(*told("run1"))
    hung.wait_for(1)
    service.record(*told("run2", "run3"))

    assert event_ids(post.body for post in prompt.wait_for(3)) == ["run1:FAILED", "run2:FAILED", "run3:FAILED"]
    began = CLOCK.monotonic()
    assert not notifier.stop(0.5), "one is still hanging"
    assert CLOCK.monotonic() - began < 2
    assert len(hung.posts) == 1
    let_go.set()


def test_what_hung_at_the_stop_goes_out_again_marked_and_the_rest_unmarked(file, web_hook):
    let_go = threading.Event()
    target = web_hook(Answer(after=let_go))
    database = Database.open(f"sqlite:///{file}", exclusive=True, now=NOON)
    first = Service(database)
    stopped = first.start(a=target.url)
    first.record(*told("run1", "run2", targets=("a",)))
    target.wait_for(1)
    assert not stopped.stop(0.1)
    # The process would now end: what it was waiting for comes to nobody.
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE delivery SET boot = 'another' WHERE state = 'leased'")
    target.answer = OK
    second = Service(database)
    running = second.start(a=target.url)

    posts = target.wait_for(3)

    assert event_ids(post.body for post in posts) == ["run1:FAILED", "run1:FAILED", "run2:FAILED"]
    assert ["possible repeat" in post.title for post in posts] == [False, True, False]
    let_go.set()
    assert running.stop(10)
    assert stopped.stop(10)
    database.close()


def test_while_the_store_cannot_be_written_nothing_is_sent_and_then_everything(service, web_hook):
    target = web_hook()
    service.record(*told("run1", targets=("a",)))
    service.start(a="json://127.0.0.1:1/")
    service.until(lambda standing: bool(standing.failed))
    service.store.full.set()
    assert service.heard.store_broke.wait(10)
    notifier = service.notifier
    assert notifier
    assert not target.posts
    service.store.full.clear()
    notifier.retarget(settings(a=target.url))

    target.wait_for(1)
    assert notifier.alive


def test_an_answer_that_cannot_be_written_down_is_kept_until_it_can(service, web_hook):
    """Otherwise a full disk would make a copy of everything that is sent."""
    let_go = threading.Event()
    target = web_hook(Answer(after=let_go))
    service.start(a=target.url)
    service.record(*told("run1", targets=("a",)))
    target.wait_for(1)
    service.store.full.set()
    let_go.set()
    assert service.heard.store_broke.wait(10)
    service.store.full.clear()

    service.until(lambda standing: standing.sent == {("a", "FAILED"): 1})
    assert len(target.posts) == 1


def test_a_reload_moves_a_target_adds_one_and_leaves_the_others_alone(service, web_hook):
    old, new, kept, added = web_hook(Answer(404, b"")), web_hook(), web_hook(), web_hook()
    notifier = service.start(a=old.url, b=kept.url)
    service.record(*told("run1"))
    service.until(
        lambda standing: (
            "a" in standing.targets and standing.targets["a"].suspended and not standing.targets["b"].waiting
        )
    )

    notifier.retarget(settings(a=new.url, b=kept.url, c=added.url))
    service.record(*told("run2", targets=("a", "b", "c")))

    assert "run1:FAILED" in event_ids(post.body for post in new.wait_for(2))
    assert event_ids(post.body for post in added.wait_for(1)) == ["run2:FAILED"]
    service.until(lambda standing: all(each.waiting == 0 for each in standing.targets.values()))
    assert [each for each in event_ids(post.body for post in kept.posts) if each == "run1:FAILED"] == ["run1:FAILED"]


def test_a_reload_never_looks_like_a_death(service):
    """Whoever looks at `alive` ends the process when it says no."""
    notifier = service.start(a="json://127.0.0.1:1/0")
    looked_away, seen = threading.Event(), set()

    def look():
        while not looked_away.is_set():
            seen.add(notifier.alive)

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(8):
        notifier.retarget(settings(**dict.fromkeys("abcd", f"json://127.0.0.1:1/{number}")))
    looked_away.set()
    looking.join()

    assert seen == {True}


def test_what_another_process_puts_into_the_outbox_is_found(service, web_hook, file):
    target = web_hook()
    service.start(a=target.url)
    beside = Database.open(f"sqlite:///{file}", exclusive=False)
    with beside.transaction() as connection:
        outbox.record(connection, told("run1", targets=("a",)), now=CLOCK.now())

    target.wait_for(1)
    beside.close()


@pytest.fixture
def heartbeat_log():
    """What the heartbeat says: `wait_for("reason")`."""
    said, changed = [], threading.Condition()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with changed:
                said.append(vars(record).get("reason", record.getMessage()))
                changed.notify_all()

    def wait_for(words: str) -> None:
        with changed:
            assert changed.wait_for(lambda: words in said, 20), said

    handler = Listening()
    logger = logging.getLogger("exporter.notifier.heartbeat")
    logger.addHandler(handler)
    yield wait_for
    logger.removeHandler(handler)


def test_the_heartbeat_beats_after_good_polls_only_while_no_delivery_is_overdue(service, web_hook, heartbeat_log):
    beats = web_hook()
    service.record(decision("run1", "a", at=CLOCK.now()))
    notifier = service.start(heartbeat_url=f"http://127.0.0.1:{beats.port}/ping/secret", a="json://127.0.0.1:1/")
    assert not beats.gets
    notifier.polled_well()
    beats.wait_for_gets(1)

    with service.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE event SET detected_at = detected_at - 11 * 60 * 1000000")
    notifier.polled_well()

    heartbeat_log("deliveries are overdue")
    assert len(beats.gets) == 1


def test_a_heartbeat_that_nobody_answers_says_so_without_its_url(service, heartbeat_log, caplog):
    notifier = service.start(heartbeat_url=f"http://127.0.0.1:{free_port()}/ping/secret")
    notifier.polled_well()

    heartbeat_log("ConnectError")
    assert "secret" not in caplog.text


def test_settings_and_endpoints_do_not_show_their_secrets():
    made = replace(settings(heartbeat_url="https://hc/secret", a="json://secret/"))

    assert "secret" not in repr(made)
    assert "secret" not in repr(made.endpoints[0])
