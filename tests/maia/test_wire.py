"""Runs as the API may spell them; every [?] and [C] of the API's description that concerns decoding has a row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.model import PipelineKey, Run, Status, Trigger
from exporter.maia import wire
from exporter.maia.answers import Rejection
from exporter.maia.fields import UnreadableError

AT = datetime(2026, 2, 2, 22, 53, 51, tzinfo=UTC)

FULL = {
    "pipelineExecutionId": "6b3f0a4e-0000-4000-8000-000000000001",
    "pipelineName": "finance/nightly-load.orch.yaml",
    "pipelineType": "ORCHESTRATION",
    "projectId": "p-1",
    "environmentName": "prod",
    "status": "SUCCESS",
    "trigger": "SCHEDULE",
    "scheduleId": "s-1",
    "user": "ada",
    "startedAt": "2026-02-02T22:53:51Z",
    "finishedAt": "2026-02-02T22:54:51Z",
    "message": '"Rewrite Table": Success',
}
LEAST = {"pipelineExecutionId": "r", "pipelineName": "n", "status": "RUNNING"}


def page_of(*records: Any, **envelope: Any) -> bytes:
    return json.dumps({"results": records} | envelope).encode()


def only(body: bytes) -> Run:
    page = wire.run_page(body)
    assert page.rejected == ()
    (run,) = page.runs
    return run


def test_an_answer_that_came_before_is_the_very_same_runs():
    body = page_of(FULL, more="next")
    assert wire.run_page(page_of(FULL, more="next")) is wire.run_page(body)
    assert wire.run_page(page_of(FULL | {"status": "FAILED"}, more="next")).runs[0].status is Status.FAILED


def test_a_full_record_fills_every_field():
    assert only(page_of(FULL)) == Run(
        run_id="6b3f0a4e-0000-4000-8000-000000000001",
        pipeline=PipelineKey("p-1", "prod", "finance/nightly-load.orch.yaml"),
        status=Status.SUCCESS,
        status_text="SUCCESS",
        trigger=Trigger.SCHEDULE,
        pipeline_type="ORCHESTRATION",
        user="ada",
        schedule_id="s-1",
        started_at=AT,
        finished_at=AT.replace(minute=54),
        message='"Rewrite Table": Success',
    )


def test_id_name_and_status_are_enough():
    assert only(page_of(LEAST)) == Run(
        run_id="r", pipeline=PipelineKey("", "", "n"), status=Status.RUNNING, status_text="RUNNING"
    )


@pytest.mark.parametrize("key", sorted(FULL.keys() - LEAST.keys()))
def test_any_other_field_may_be_null(key: str):
    assert only(page_of(FULL | {key: None})) == only(page_of({k: v for k, v in FULL.items() if k != key}))


@pytest.mark.parametrize(
    ("spelt", "read"),
    [
        ("2026-02-02T22:53:51Z", AT),  # the usual
        ("2026-02-02T22:53:51.4Z", AT.replace(microsecond=400_000)),  # one digit
        ("2026-02-02T22:53:51.41235+00:00", AT.replace(microsecond=412_350)),  # five, as seen in a real answer
        ("2026-02-02T22:53:51.412351Z", AT.replace(microsecond=412_351)),  # six
        ("2026-02-02T22:53:51.412351499Z", AT.replace(microsecond=412_351)),  # Java's nanoseconds
        ("2026-02-02T23:53:51+01:00", AT),  # an offset that is not zero
        ("2026-02-02T22:53:51+0000", AT),  # an offset without a colon
        ("2026-02-02T22:53:51", AT),  # no zone is UTC
        ("2026-02-02 22:53:51", AT),  # a blank for the T
        ("2026-02-02T22:53Z", AT.replace(second=0)),  # Java leaves out :00
    ],
)
def test_instants_are_read_in_every_spelling(spelt: str, read: datetime):
    page = wire.run_page(page_of(LEAST | {"startedAt": spelt, "finishedAt": spelt}))

    assert [(run.started_at, run.finished_at) for run in page.runs] == [(read, read)]
    assert page.runs[0].started_at.tzinfo is UTC
    assert page.unrecognised == ()


@pytest.mark.parametrize(
    ("field", "value", "noted"),
    [
        ("startedAt", "yesterday", "yesterday"),  # no time at all
        ("startedAt", 1770072831, "1770072831"),  # seconds since 1970: of which unit, nobody said
        ("finishedAt", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),  # before the first year in UTC
        ("finishedAt", "2026-02-30T00:00:00Z", "2026-02-30T00:00:00Z"),  # no such day
        ("startedAt", "", ""),
        ("message", {"text": "hi"}, "{'text': 'hi'}"),  # a field that became an object
        ("user", 7, "7"),
    ],
)
def test_a_field_that_cannot_be_read_is_left_out_and_noted_and_the_run_is_kept(field: str, value: Any, noted: str):
    page = wire.run_page(page_of(LEAST | {field: value}, FULL))

    assert page.runs == (only(page_of(LEAST)), only(page_of(FULL)))
    assert page.unrecognised == ((field, noted),)


@pytest.mark.parametrize("unusual", [{}, {"user": 7}], ids=["strict", "tolerant"])
def test_new_words_count_as_unknown_and_are_noted(unusual: dict[str, Any]):
    page = wire.run_page(page_of(FULL | {"status": "PAUSED", "trigger": "WEBHOOK"} | unusual))

    (run,) = page.runs
    assert (run.status, run.status_text, run.trigger) == (Status.UNKNOWN, "PAUSED", Trigger.UNKNOWN)
    assert page.unrecognised[:2] == (("status", "PAUSED"), ("trigger", "WEBHOOK"))


@pytest.mark.parametrize("unusual", [{}, {"user": 7}], ids=["strict", "tolerant"])
def test_the_documented_word_unknown_is_no_news(unusual: dict[str, Any]):
    page = wire.run_page(page_of(LEAST | {"status": "UNKNOWN", "trigger": "UNKNOWN"} | unusual))

    assert not {"status", "trigger"} & {field for field, _ in page.unrecognised}


def test_new_fields_are_ignored():
    assert only(page_of(LEAST | {"costCentre": {"id": [1]}})) == only(page_of(LEAST))


@pytest.mark.parametrize(
    ("record", "path", "reason", "run_id"),
    [
        ({"pipelineName": "n", "status": "RUNNING"}, "results[1].pipelineExecutionId", "absent", ""),
        (LEAST | {"pipelineExecutionId": None}, "results[1].pipelineExecutionId", "expected a text, got null", ""),
        (LEAST | {"pipelineExecutionId": 5}, "results[1].pipelineExecutionId", "expected a text, got a number", ""),
        (LEAST | {"pipelineExecutionId": ""}, "results[1].pipelineExecutionId", "empty", ""),
        (LEAST | {"pipelineName": ["n"]}, "results[1].pipelineName", "expected a text, got a list", "r"),
        (LEAST | {"status": True}, "results[1].status", "expected a text, got a boolean", "r"),
        (LEAST | {"status": ""}, "results[1].status", "empty", "r"),
        ("hello", "results[1]", "expected an object, got a text", ""),
        (None, "results[1]", "expected an object, got null", ""),
        (LEAST | {"pipelineName": "n" * 1_001}, "results[1].pipelineName", "longer than 1000 characters", "r"),
        (LEAST | {"environmentName": "n" * 1_001}, "results[1].environmentName", "longer than 1000 characters", "r"),
        (LEAST | {"user": "n" * 1_001}, "results[1].user", "longer than 1000 characters", "r"),
        (
            LEAST | {"pipelineExecutionId": "r" * 1_001},
            "results[1].pipelineExecutionId",
            "longer than 1000 characters",
            "r" * 1_000,
        ),
    ],
)
def test_a_page_with_one_bad_record_keeps_the_others(record: Any, path: str, reason: str, run_id: str):
    page = wire.run_page(page_of(FULL, record, LEAST, more="next"))

    assert page.runs == (only(page_of(FULL)), only(page_of(LEAST)))
    assert page.rejected == (Rejection(path, reason, run_id),)
    assert page.more == "next"


def test_bad_records_without_an_id_are_told_apart_by_what_they_hold():
    nameless = {"pipelineName": "n", "status": "RUNNING"}
    first, again, other = (
        wire.run_page(page_of(*records)).rejected[0].content
        for records in ([nameless], [nameless, FULL], [nameless | {"user": "\ud800"}])
    )
    assert first == again != other != 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"results": [', "not JSON"),  # cut off
        (b"[]", "expected an object with results, got a list"),
        (b'"hello"', "expected an object with results, got a text"),
        (b"{}", "results: expected a list, got nothing"),  # an error in disguise must not look like an empty account
        (b'{"results": null}', "results: expected a list, got null"),
        (b'{"results": {}}', "results: expected a list, got an object"),
        (b'{"results": [], "more": 5}', "more: expected a text, got a number"),  # there is more, and no way to it
        (b'{"results": [], "more": "' + b"x" * 16_001 + b'"}', "more: longer than 16000 characters"),
        (b"[" * 100_000, "JSON nested too deeply"),
        (b'{"results": [' + b"{}," * 200_000 + b"{}]}", "more objects and lists than any answer has"),
        (b'{"results": [' + b"1," * 10_000 + b"1]}", "results: 10001 records, more than any page has"),
        (page_of(*[LEAST] * 10_001), "results: 10001 records, more than any page has"),
        (b'{"results": [' + b"9" * 5000 + b"]}", "not JSON"),  # more digits than Python takes
    ],
)
def test_an_answer_that_is_no_page_is_refused_as_a_whole(body: bytes, reason: str):
    with pytest.raises(UnreadableError, match=reason.replace("[", r"\[")):
        wire.run_page(body)


def test_names_may_be_long_and_messages_of_any_length():
    long = dict.fromkeys(("pipelineExecutionId", "pipelineName", "environmentName", "projectId"), "n" * 1000)

    assert len(only(page_of(LEAST | long | {"message": "m" * 1_000_000})).message) == 1_000_000
    assert only(page_of(LEAST | long)).pipeline.environment_name == "n" * 1_000


@pytest.mark.parametrize("more", [None, ""])
@pytest.mark.parametrize("unusual", [{}, {"user": 7}], ids=["strict", "tolerant"])
def test_no_more_is_the_last_page(more: Any, unusual: dict[str, Any]):
    assert wire.run_page(page_of(LEAST | unusual, more=more)).more is None


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b"a\\u0000b", "a\ufffdb"),  # PostgreSQL takes no NUL
        (b"a\\ud800b", "a\ufffdb"),  # half of a pair cannot be written as UTF-8
        (b"a\\udc00b", "a\ufffdb"),
        (b"a\\ud83d\\ude00b", "a\U0001f600b"),  # a whole pair is an ordinary character
        (b"a\xffb", "a\ufffdb"),  # no UTF-8
        (b"a\\\\u0000b", "a\\u0000b"),  # an escaped backslash, no NUL
    ],
)
def test_texts_that_nothing_can_store_are_mended(raw: bytes, read: str):
    body = page_of(LEAST | {"message": "MESSAGE", "pipelineName": "x MESSAGE"}).replace(b"MESSAGE", raw)

    run = only(body)

    assert (run.message, run.pipeline.pipeline_name) == (read, f"x {read}")
    run.message.encode()


def test_a_byte_order_mark_does_no_harm():
    assert only(b"\xef\xbb\xbf" + page_of(LEAST)) == only(page_of(LEAST))


def test_records_are_the_apis_own_objects_of_the_runs_that_could_be_read():
    page = wire.run_page(page_of(FULL | {"costCentre": 7}, {"status": "RUNNING"}), records=True)

    assert page.records == {FULL["pipelineExecutionId"]: FULL | {"costCentre": 7}}
    assert len(page.rejected) == 1


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
instants = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(lambda at: at.isoformat())  # noqa: DTZ001 - a time without a zone is among what is tested
any_record = st.fixed_dictionaries(
    {"pipelineExecutionId": texts, "pipelineName": texts, "status": st.sampled_from([*Status, "", "NEW"])},
    optional={
        "trigger": st.none() | st.sampled_from([*Trigger, "", "NEW"]),
        "startedAt": st.none() | st.tuples(instants, st.sampled_from(["", "Z", "+02:00", "-11:30"])).map("".join),
        "finishedAt": st.none() | instants | st.just("soon"),
        **{key: st.none() | texts for key in ("projectId", "environmentName", "user", "scheduleId", "message")},
    },
)


@given(st.lists(any_record, max_size=4))
def test_the_strict_and_the_tolerant_way_read_the_same(records: list[dict[str, Any]]):
    body = page_of(*records, more="next")

    assert wire.run_page(body) == wire.run_page(body, records=True)


@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "wrapped"])
def test_one_run_is_read_bare_and_wrapped(wrap: bool):
    body = json.dumps({"result": FULL} if wrap else FULL).encode()

    run, notes, record = wire.one_run(body, project_id="p-1", run_id=FULL["pipelineExecutionId"])

    assert (run, notes, record) == (only(page_of(FULL)), [], FULL)


def test_one_run_without_a_project_is_of_the_project_it_was_asked_of():
    run, _, _ = wire.one_run(json.dumps(LEAST).encode(), project_id="p-9", run_id="R")

    assert run.pipeline.project_id == "p-9"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (LEAST | {"pipelineExecutionId": "other"}, "asked for run r, got run other"),  # never cancel by another's state
        ({"status": "RUNNING"}, "result.pipelineExecutionId: absent"),
        ([], "expected an object, got a list"),
    ],
)
def test_an_answer_that_is_not_that_run_is_refused(body: Any, reason: str):
    with pytest.raises(UnreadableError, match=reason):
        wire.one_run(json.dumps(body).encode(), project_id="p", run_id="r")


@pytest.mark.parametrize(
    ("body", "status", "notes"),
    [
        ({"status": "CANCELLING"}, Status.CANCELLING, []),
        ({"result": {"status": "FAILED"}}, Status.FAILED, []),
        ({"status": "PAUSED"}, Status.UNKNOWN, [("status", "PAUSED")]),
    ],
)
def test_the_light_answer_is_a_status(body: Any, status: Status, notes: list[tuple[str, str]]):
    assert wire.run_status(json.dumps(body).encode()) == (status, notes)


def test_a_light_answer_without_a_status_is_refused():
    with pytest.raises(UnreadableError, match=r"result\.status: absent"):
        wire.run_status(b"{}")


@pytest.mark.parametrize("body", [{"pipelineExecutionId": "r"}, {"result": {"pipelineExecutionId": "r"}}])
def test_a_start_gives_the_new_runs_id(body: Any):
    assert wire.started_run_id(json.dumps(body).encode()) == "r"


def test_a_start_without_an_id_is_refused():
    with pytest.raises(UnreadableError, match="pipelineExecutionId: absent"):
        wire.started_run_id(b"{}")
