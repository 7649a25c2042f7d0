"""Whatever comes in, a parser answers or refuses in its own words: nothing else escapes it."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.config import ConfigError, parse
from exporter.maia import wire, wire_lists
from exporter.maia.fields import UnreadableError
from exporter.web.entrance import web_config

from .corpus import DATA, corpus, patched

CONFIGS = sorted((DATA / "config").rglob("*.toml"))
ANSWERS = corpus("answers")
WEB_CONFIGS = corpus("web_configs")
SEEDED = settings(derandomize=True, max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))

KEYS = (
    "pipelineExecutionId", "pipelineName", "pipelineType", "projectId", "environmentName", "status", "trigger",
    "scheduleId", "user", "startedAt", "finishedAt", "message", "results", "more", "result", "page", "size", "total",
    "id", "name", "publishedTime", "cronExpression", "nextRun", "child",
)  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
    | st.sampled_from(["SUCCESS", "RUNNING", "2026-02-02T22:53:51Z", "2026-02-02T05:31+99:99", "0000-00-00", "\ud800"])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=25,
)
PAGES = st.fixed_dictionaries({"results": st.lists(st.dictionaries(st.sampled_from(KEYS), SCALARS), max_size=4)})
BODIES = st.binary(max_size=200) | (JSON | PAGES).map(lambda value: json.dumps(value).encode())

READERS = (
    wire.run_page,
    lambda body: wire.run_page(body, records=True),
    lambda body: wire.one_run(body, project_id="p", run_id="r"),
    wire.run_status,
    wire.started_run_id,
    lambda body: wire_lists.list_page(body, wire_lists.project),
    lambda body: wire_lists.list_page(body, wire_lists.environment),
    lambda body: wire_lists.list_page(body, wire_lists.published_pipeline),
    lambda body: wire_lists.list_page(body, wire_lists.step),
)


@SEEDED
@given(BODIES)
@example(b'{"results": [{"pipelineExecutionId": "\\ud800", "pipelineName": "\\u0000", "status": "RUNNING"}]}')
@example(b"\xef\xbb\xbf{}")
@example(b'{"results": [], "more": ' + b'"' + b"t" * 100_000 + b'"}')
def test_every_answer_of_the_api_is_read_or_unreadable(body):
    is_read_or_unreadable(body)


def is_read_or_unreadable(body):
    for read in READERS:
        with suppress(UnreadableError):
            read(body)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.name)
def test_every_answer_of_the_corpus_is_read_or_unreadable(path):
    is_read_or_unreadable(path.read_bytes())


@SEEDED
@given(patched(ANSWERS, st.sampled_from([b'"', b"[", b"]", b"{}", b"null", b"-1e999", b"\\ud800", b"\x00", b"\xff"])))
def test_every_answer_like_one_of_the_corpus_is_read_or_unreadable(body):
    is_read_or_unreadable(body)


def read_or_refused(text, folder):
    with suppress(ConfigError):
        parse(text, env={}, folder=folder)


@SEEDED
@given(patched(CONFIGS, st.sampled_from([b'"', b"[[", b"]", b"= 1e999", b"${", b"\\u0000", b"''", b"{}"])))
def test_every_config_like_one_of_the_corpus_is_read_or_refused_with_its_problems(content):
    read_or_refused(content.decode(errors="replace"), CONFIGS[0].parent)


@SEEDED
@given(
    st.sampled_from(["maia", "poll", "web", "store", "metrics", "alerts", "cancel", "targets", "routes", "limits"]),
    st.dictionaries(
        st.sampled_from(["url", "name", "interval", "listen", "projects", "mode", "region", "max_age", "client_id"])
        | st.text(max_size=8),
        st.recursive(
            st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.times(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_every_value_in_every_table_is_read_or_refused(table, values, several):
    read_or_refused({table: [values] if several else values}, Path("/nowhere"))


def its_problems(content, folder):
    path = folder / "fuzzed-web.yml"
    path.write_bytes(content)
    return web_config.read(path)


@pytest.mark.parametrize("path", WEB_CONFIGS, ids=lambda path: path.name)
def test_every_web_config_of_the_corpus_is_read_or_its_problems_are(path, tmp_path):
    assert its_problems(path.read_bytes(), tmp_path)


@SEEDED
@given(
    patched(WEB_CONFIGS, st.sampled_from([b"{", b"[", b"&a ", b"*a", b"!!python/object:os.system ", b"1e999", b"~"]))
)
def test_every_web_config_like_one_of_the_corpus_is_read_or_its_problems_are(tmp_path_factory, content):
    assert its_problems(content, tmp_path_factory.getbasetemp())
