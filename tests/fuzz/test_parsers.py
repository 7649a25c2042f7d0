"""Whatever comes in, a parser answers or refuses in its own words: nothing else escapes it."""

import json
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.config import ConfigError, parse
from exporter.maia import wire, wire_lists
from exporter.maia.fields import UnreadableError
from exporter.web.entrance import web_config

DATA = Path(__file__).parents[1] / "data" / "config"
CORPUS = sorted(DATA.rglob("*.toml"))
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
    for read in READERS:
        with suppress(UnreadableError):
            read(body)


def read_or_refused(text, folder):
    with suppress(ConfigError):
        parse(text, env={}, folder=folder)


@SEEDED
@given(st.data())
def test_every_config_is_read_or_refused_with_its_problems(data):
    """Files of the corpus with a stretch of them replaced."""
    path = data.draw(st.sampled_from(CORPUS))
    text = path.read_text(errors="replace")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    patch = data.draw(st.text(max_size=10) | st.sampled_from(['"', "[[", "]", "= 1e999", "${", "\\u0000", "''", "{}"]))
    read_or_refused(text[:start] + patch + text[end:], path.parent)


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


WEB_CONFIG = """tls_server_config:
  cert_file: server.crt
  key_file: server.key
  min_version: TLS12
http_server_config: {http2: true, headers: {X-Frame-Options: deny}}
basic_auth_users: {prometheus: $2y$04$aaaaaaaaaaaaaaaaaaaaaeUq0xV2RzYV8GqHg0kzqPjQbC1Yv7oYm}
rate_limit: {interval: 1s, burst: 2}
"""


@SEEDED
@given(st.data())
@example(data=None)
def test_every_web_config_is_read_or_its_problems_are(tmp_path_factory, data):
    text = WEB_CONFIG.encode()
    if data is not None:
        start = data.draw(st.integers(0, len(text)))
        patch = data.draw(
            st.binary(max_size=10)
            | st.sampled_from([b"{", b"[", b"&a ", b"*a", b"!!python/object:os.system ", b"1e999", b"~"])
        )
        text = text[:start] + patch + text[data.draw(st.integers(start, min(len(text), start + 30))) :]
    path = tmp_path_factory.getbasetemp() / "fuzzed-web.yml"
    path.write_bytes(text)

    assert web_config.read(path)
