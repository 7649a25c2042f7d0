"""Log lines: one a fact, no secret, no line of the outside's making, and the same error once."""

import io
import json
import logging
import re
import sys

import pytest

from exporter import logs

SAID = "2026-01-31T12:00:00Z"


class Ear:
    """What a process logs, with its clock in the test's hand."""

    def __init__(self, monkeypatch):
        self.heard = io.StringIO()
        self.seconds = 0.0
        self._monkeypatch = monkeypatch

    def listen(self, level="info", form="text"):
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", self.heard)
            logs.configure(level=level, form=form, monotonic=lambda: self.seconds)
        return logging.getLogger("exporter.somewhere")

    @property
    def lines(self):
        return [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line) for line in self.heard.getvalue().splitlines()]


@pytest.fixture
def ear(monkeypatch):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        yield Ear(monkeypatch)
    finally:
        logs.cover(())
        logging.captureWarnings(capture=False)
        root.handlers[:], root.level = before
        for name in ("exporter", *logs.SECRETIVE):
            logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_fact_is_a_line_with_its_keys(ear):
    ear.listen().info("run finished", extra={"pipeline": "finance/load", "status": "FAILED", "user": "Jo Doe"})

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info    .*\n", ear.heard.getvalue())
    assert ear.lines == ['info    run finished pipeline=finance/load status=FAILED user="Jo Doe"']


def test_json_is_one_object_a_line_with_its_keys(ear):
    ear.listen(form="json").warning("not sent", extra={"target": "on\ncall", "attempts": 3})

    (line,) = ear.heard.getvalue().splitlines()
    said = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said.pop("time"))
    assert said == {
        "level": "warning",
        "logger": "exporter.somewhere",
        "message": "not sent",
        "target": "on\ncall",
        "attempts": 3,
    }


HOSTILE = f"x\n{SAID} error   all is lost\r\x1b[2J\u2028\x85\udc80"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("where", ["message", "field", "exception"])
def test_text_from_outside_begins_no_line_and_moves_no_cursor(ear, form, where):
    log = ear.listen(form=form)
    if where == "exception":
        log.error("it failed", exc_info=ValueError(HOSTILE))
    elif where == "field":
        log.error("it failed", extra={"why": HOSTILE})
    else:
        log.error("it failed: %s", HOSTILE)

    text = ear.heard.getvalue()
    begun = [line for line in text.split("\n") if line and not line.startswith("    ")]
    assert len(begun) == 1
    assert all(c == "\n" or c.isprintable() for c in text)
    assert form == "text" or json.loads(text)


def test_a_text_of_any_length_is_a_line_that_can_be_read(ear):
    ear.listen().error("it failed: %s", "x" * 1_000_000)

    assert len(ear.heard.getvalue()) < 5_000
    assert "(1000011 characters)" in ear.heard.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_the_config_calls_a_secret_is_covered_wherever_it_stands(ear, form):
    log = ear.listen(form=form)
    logs.cover(
        ["hush-hush-hush", 'with "quotes" in it', "https://hooks.example/services/T0123/B0123/Xabcdef0123456789"]
    )
    quoting = ValueError('with "quotes" in it')
    there = {"at": "/services/T0123/B0123/Xabcdef0123456789"}
    log.error("it failed: %s", "hush-hush-hush", extra=there, exc_info=quoting)

    text = ear.heard.getvalue()
    assert "hush" not in text
    assert "quotes" not in text
    assert "Xabcdef" not in text
    assert "it failed: ***" in text


def test_a_secret_that_is_a_common_word_makes_no_holes(ear):
    log = ear.listen()
    logs.cover(["demo", ""])
    log.info("the demonstration")

    assert ear.lines == ["info    the demonstration"]


def test_libraries_are_heard_when_they_warn_and_never_when_they_know_addresses(ear):
    ear.listen(level="debug")
    logging.getLogger("alembic").info("upgrading")
    logging.getLogger("anything.else").debug("token=hush")
    logging.getLogger("anything.else").warning("careful")
    logging.getLogger("urllib3.connectionpool").error("Failed to parse headers (url=https://hooks.example/hush)")
    logging.getLogger("httpx").critical("GET https://hush")

    assert ear.lines == ["warning careful"]


# The same, again and again


def test_the_first_of_a_row_of_identical_errors_is_told_and_then_how_many_there_were(ear):
    log = ear.listen()
    for _ in range(21):
        log.error("not sent", extra={"target": "oncall", "reason": "HTTP 503"})
        ear.seconds += 30

    assert ear.lines == [
        'error   not sent target=oncall reason="HTTP 503"',
        'error   not sent (repeated 19 times in the last 10 minutes) target=oncall reason="HTTP 503" repeated=19',
    ]  # the one that came at the tenth minute belongs to the next ten


def test_what_goes_on_is_told_every_ten_minutes_and_what_ended_is_told_anew(ear):
    log = ear.listen()
    for _ in range(60):
        log.error("refused")
        ear.seconds += 60
    assert [line.partition(" (")[0] for line in ear.lines] == ["error   refused"] * 6
    ear.seconds += 2 * logs.REPEATS_TOLD_EVERY
    logs.tell_repeats()
    ear.seconds += logs.REPEATS_TOLD_EVERY
    logs.tell_repeats()
    log.error("refused")

    assert len(ear.lines) == 8
    assert ear.lines[-1] == "error   refused"


def test_a_row_that_nothing_follows_is_told_all_the_same(ear):
    log = ear.listen()
    log.error("refused")
    log.error("refused")
    logs.tell_repeats()
    assert len(ear.lines) == 1
    ear.seconds += logs.REPEATS_TOLD_EVERY
    logs.tell_repeats()

    assert ear.lines[1:] == ["error   refused (repeated 1 time in the last 10 minutes) repeated=1"]


def test_the_end_of_the_process_tells_what_is_left(ear):
    log = ear.listen()
    for _ in range(3):
        log.error("refused")
    logging.getLogger().handlers[0].close()

    assert ear.lines[1:] == ["error   refused (repeated 2 times in the last 1 minute) repeated=2"]


def test_an_error_after_good_news_is_a_new_one(ear):
    log = ear.listen()
    for news in ({"target": "a"}, {"target": "b"}):
        log.error("not sent", extra={"target": "a"})
        log.error("not sent", extra={"target": "a"})
        logging.getLogger("exporter.elsewhere").info("sent", extra={"target": "a"})
        log.info("sent", extra=news)
    log.error("not sent", extra={"target": "a"})

    assert [line.split(" target")[0] for line in ear.lines if "elsewhere" not in line] == [
        "error   not sent",
        "info    sent",
        "error   not sent (repeated 1 time in the last 1 minute)",
        "info    sent",
        "error   not sent",
        "info    sent",
        "info    sent",
    ]


def test_errors_that_differ_in_anything_are_all_told(ear):
    log = ear.listen()
    for status in (502, 503):
        for target in ("a", "b"):
            log.error("HTTP %d", status, extra={"target": target})
            log.warning("HTTP %d", status, extra={"target": target})

    assert len(ear.lines) == 8


def test_facts_are_told_however_alike(ear):
    log = ear.listen(level="debug")
    for _ in range(3):
        log.info("sent")
        log.debug("asked")

    assert len(ear.lines) == 6


def test_errors_that_all_differ_take_no_end_of_memory(ear):
    log = ear.listen()
    for number in range(3_000):
        log.error("no. %d", number)
        log.error("no. %d", number)

    assert len(logging.getLogger().handlers[0]._rows) == 1_000
    assert sum("repeated 1 time" in line for line in ear.lines) == 2_000
