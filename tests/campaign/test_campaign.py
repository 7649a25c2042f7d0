"""What the campaign rests on: its seed, how it reads messages, its planted faults. It itself is a command."""

import shutil
from datetime import UTC, datetime

import pytest
from delivery.post import notice

from exporter.core.digest import digest
from exporter.core.messages import render
from exporter.core.notice import EventKind

from .messages import events_in, marked
from .planted import FAULTS, PACKAGE, plant
from .schedule import schedule

RUNS = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(4)]


def test_one_seed_gives_one_schedule_and_another_seed_another():
    once, again, other = schedule(7, 60), schedule(7, 60), schedule(8, 60)

    assert once == again
    assert once != other
    assert [move.at for move in once] == sorted(move.at for move in once)


def test_a_longer_campaign_of_a_seed_begins_like_a_shorter_one():
    assert schedule(7, 600)[: len(schedule(7, 60))] == schedule(7, 60)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_planted_fault_still_fits_into_the_service(tmp_path, fault):
    shutil.copytree(PACKAGE, tmp_path / "exporter", ignore=shutil.ignore_patterns("__pycache__"))

    plant(fault, tmp_path / "exporter")

    assert compile((tmp_path / "exporter" / fault.file).read_text(), fault.file, "exec")


def test_a_message_alone_is_read():
    message = render(notice(RUNS[0]), link="https://maia.example.com/", zone=UTC, possible_repeat=True)

    assert events_in(message.body) == {f"{RUNS[0]}:FAILED"}
    assert marked(message.title)


def test_every_event_of_a_digest_is_read():
    told = [
        notice(RUNS[0]),
        notice(RUNS[1]),
        notice(RUNS[1], event=EventKind.OVER_LIMIT),
        notice(RUNS[2], event=EventKind.RECOVERED),
        notice(RUNS[3], event=EventKind.FORBIDDEN, at=datetime(2026, 3, 1, 11, tzinfo=UTC)),
    ]

    message = digest(told, link="https://maia.example.com/", zone=UTC)

    assert events_in(message.body) == {each.event_id for each in told}
    assert not marked(message.title)


@pytest.mark.parametrize("event", [EventKind.FAILED, EventKind.FORBIDDEN])
def test_a_digest_of_one_kind_is_read(event):
    told = [notice(run, event=event) for run in RUNS]

    assert events_in(digest(told, link="", zone=UTC).body) == {each.event_id for each in told}
