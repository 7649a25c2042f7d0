"""What a config file may say, what it means, and what is said when it is wrong."""

import json
import re
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.config import Config, ConfigError, from_environment, load, parse
from exporter.config.addresses import is_loopback
from exporter.config.load import TABLES
from exporter.core.globs import Scope

SHIPPED = Path(__file__).parent.parent / "config.toml"
DATA = Path(__file__).parent / "data" / "config"
BAD = sorted((DATA / "bad").glob("*.toml"))
SECRET = "s3cr3t-value"
TWO_VARIABLES = {"MAIA_CLIENT_ID": "id", "MAIA_CLIENT_SECRET": SECRET}
ACCOUNT = {"client_id": "id", "client_secret": SECRET}


def good(name: str, **env: str) -> Config:
    return load(DATA / "good" / f"{name}.toml", env)


def config(folder: Path = Path("/etc/maia"), **tables: object) -> Config:
    return parse({"maia": ACCOUNT, **tables}, env={}, folder=folder)


def uncommented(text: str) -> str:
    """Switch on what the shipped file has switched off: lines with a # and no space after it."""
    return re.sub(r"(?m)^#(?=\S)", "", text)


# --- the shipped file and the defaults ---


def test_the_shipped_file_needs_two_variables_and_says_what_the_defaults_say():
    shipped, defaults = load(SHIPPED, TWO_VARIABLES).effective(), good("minimal").effective()
    assert shipped["store"].pop("url") == f"sqlite:///{SHIPPED.parent}/maia-exporter.db"
    assert defaults["store"].pop("url") == f"sqlite:///{DATA}/good/maia-exporter.db"
    assert shipped == defaults


def test_the_shipped_file_is_right_with_everything_switched_on():
    text = uncommented(SHIPPED.read_text())
    found = parse(text, env={**TWO_VARIABLES, "SLACK_URL": "slack://a/b/c"}, folder=Path())
    assert [target.name for target in found.targets] == ["data-oncall"]
    assert [len(rows) for rows in (found.routes, found.expectations, found.limits)] == [1, 1, 1]
    assert found.warnings() == ()


def test_the_shipped_file_shows_every_key_at_its_default_and_explains_it():
    lines = uncommented(SHIPPED.read_text()).splitlines()
    shown = tomli.loads("\n".join(lines))
    for name, model in TABLES.items():
        table = shown[name][0] if isinstance(shown[name], list) else shown[name]
        assert set(model.examples()) - {"api_url", "token_url"} == set(table), name
    for number, line in enumerate(lines):
        if re.match(r"[a-z_]+ =", line):
            assert lines[number - 1].startswith("# "), f"a comment above {line}"


DEFAULTS = {
    "maia": {
        "region": "eu1",
        "api_url": "https://eu1.api.matillion.com/dpc",
        "token_url": "https://id.core.matillion.com/oauth/dpc/token",
        "client_id": "id",
        "client_secret": "**********",
        "requests_per_minute": 120,
        "request_timeout": "30s",
        "run_url": "https://app.matillion.com/observability-dashboard/pipeline/{run_id}",
    },
    "poll": {
        "interval": "30s",
        "lookback": "7d",
        "discovery": "15m",
        "projects": ["*"],
        "environments": ["*"],
        "pipelines": ["*"],
        "exclude_pipelines": [],
    },
    "web": {"listen": "0.0.0.0:9986", "external_url": "", "open_page": False, "config_file": ""},
    "store": {"url": "sqlite:////etc/maia/maia-exporter.db", "retention": "90d"},
    "metrics": {"max_pipelines": 2000, "duration_buckets": []},
    "alerts": {"timezone": "UTC", "max_age": "7d", "exporter_after": "5m", "heartbeat_url": ""},
    "targets": [],
    "routes": [],
    "expectations": [],
    "cancel": {"max_per_hour": 5},
    "limits": [],
}


def test_what_is_left_out_has_the_documented_default():
    assert config().effective() == DEFAULTS


def test_rows_have_the_documented_defaults():
    rows = config(
        targets=[{"name": "ops", "url": "json://localhost"}],
        routes=[{"targets": ["ops"]}],
        expectations=[{"success_within": "26h"}],
        limits=[{"name": "a", "warn_after": "1h"}],
    ).effective()
    everywhere = {"projects": ["*"], "environments": ["*"], "pipelines": ["*"]}
    assert rows["targets"] == [{"name": "ops", "url": "**********", "max_per_minute": 20}]
    events = ["FAILED", "FORBIDDEN", "RECOVERED", "OVERDUE", "OVER_LIMIT", "CANCEL", "VANISHED", "EXPORTER"]
    usual = {"events": events, "triggers": ["*"], "notify": "every", "remind_every": "0s", "continue": False}
    assert rows["routes"] == [{**everywhere, **usual, "targets": ["ops"]}]
    assert rows["expectations"] == [{**everywhere, "success_within": "1d2h"}]
    times = {"warn_after": "1h", "cancel_after": None, "force_after": None, "stuck_after": "15m", "allow_short": False}
    triggers = ["API", "SCHEDULE", "SCHEDULE_RUN_NOW"]
    assert rows["limits"] == [{**everywhere, **times, "name": "a", "triggers": triggers, "mode": "observe"}]


# --- what the values mean ---


def test_every_key_reaches_the_config():
    found = good("everything")
    assert (found.maia.api_url, found.maia.client_id) == ("https://us1.api.matillion.com/dpc", "other-id")
    assert found.maia.client_secret.get_secret_value() == SECRET
    assert (found.poll.interval, found.poll.lookback) == (timedelta(seconds=1), timedelta(hours=36))
    assert found.poll.scope == Scope(("Finance", "5e1f*"), ("prod", "test"), ("finance/*",), ("*-draft",))
    assert (found.web.listen_host, found.web.listen_port) == ("::1", 0)
    assert found.web.external_url == "https://maia.example.com/exporter"
    assert found.web.config_file == str(DATA / "good" / "web" / "tls.yml")
    assert found.store.url.get_secret_value().startswith(f"postgresql+psycopg://me:{SECRET}@db")
    assert found.metrics.duration_buckets == (0.5, 60.0, 3600.0)
    assert found.alerts.zone == ZoneInfo("Europe/Berlin")
    assert found.alerts.heartbeat_url.get_secret_value() == f"https://beat.example.com/{SECRET}"
    assert found.targets[0].url.get_secret_value() == f"json://localhost/{SECRET}"
    assert found.routes[0].continue_ is True
    assert found.limits[0].force_after == timedelta(seconds=10)
    assert found.limits[0].scope == Scope(("Finance",), ("prod",), ("load",))
    defaults, effective = good("minimal").effective(), found.effective()
    same = [(t, k) for t in defaults for k in defaults[t] if defaults[t] and effective[t][k] == defaults[t][k]]
    assert same == [("maia", "token_url"), ("maia", "client_secret")]


def test_rules_that_may_match_are_no_error():
    found = good("rules_that_can_match")
    assert (len(found.routes), len(found.expectations), len(found.limits)) == (5, 8, 4)


def test_values_can_come_from_the_environment():
    env = {**TWO_VARIABLES, "MAIA_REGION": "", "BUDGET": "60", "STAGE": "prod", "PORT": "9000", "HOST": "::${X}"}
    with pytest.raises(ConfigError, match="is not host:port"):
        good("from_variables", **env)  # what a variable holds is not expanded again
    found = good("from_variables", **{**env, "HOST": ""})
    assert found.maia.api_url == "https://au1.api.matillion.com/dpc"
    assert found.maia.requests_per_minute == 60
    assert found.poll.environments == ("prod-eu", "prod-us")
    assert found.poll.projects == ("${not a variable}", "$5")
    assert found.web.open_page is False
    assert found.web.listen == "127.0.0.1:9000"


def test_own_urls_need_no_region():
    found = good("own_urls")
    assert found.maia.api_url == "http://127.0.0.9:9987/dpc"
    assert found.maia.token_url == "http://[::1]:9987/oauth/dpc/token"
    assert found.maia.region == ""


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("localhost.example.com", False)],
)
def test_only_this_machine_is_loopback(host, expected):
    assert is_loopback(host) is expected


STORE_URLS = [
    ("sqlite:///maia.db", "sqlite:////etc/maia/maia.db", "a relative path starts at the file's folder"),
    ("sqlite:////data/maia.db", "sqlite:////data/maia.db", "an absolute one does not"),
    ("sqlite:///maia.db?timeout=5", "sqlite:////etc/maia/maia.db?timeout=5", "options stay"),
    ("postgresql+psycopg://db/maia", "postgresql+psycopg://db/maia", "no password, nothing to mask"),
    ("postgresql+psycopg://me@db/maia", "postgresql+psycopg://me@db/maia", "nor with a user alone"),
    ("postgresql+psycopg://me:pw@db/maia", "postgresql+psycopg://me:**********@db/maia", "a password"),
    ("postgresql+psycopg://me:p/w@db/maia", "postgresql+psycopg://me:**********@db/maia", "with a slash in it"),
    (
        "postgresql+psycopg://db/maia?user=me&password=pw&x=1",
        "postgresql+psycopg://db/maia?user=me&password=**********&x=1",
        "a password among the options",
    ),
]


@pytest.mark.parametrize(("url", "shown", "reason"), STORE_URLS)
def test_the_store_is_a_file_or_a_database_whose_password_is_masked(url, shown, reason):
    found = config(store={"url": url})
    assert found.effective()["store"]["url"] == shown, reason
    assert found.store.url.get_secret_value() == shown.replace("*" * 10, "p/w" if "p/w" in url else "pw")
    assert "pw" not in repr(found)


def test_utc_needs_no_time_zone_database():
    assert config().alerts.zone is UTC


@pytest.mark.parametrize("url", ["beat", "ftp://beat.example.com", "https://", "https://[::1", "https://beat/a b"])
def test_a_heartbeat_that_cannot_be_fetched_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match=r"heartbeat_url: is not an http:// or https:// URL$"):
        config(alerts={"heartbeat_url": url})


# --- secrets ---


def test_a_secret_can_come_from_a_file_beside_the_config(tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET}${{X}}\r\n\n")
    found = parse('[maia]\nclient_id = "id"\nclient_secret_file = "secret"', env={}, folder=tmp_path)
    assert found.maia.client_secret.get_secret_value() == f"{SECRET}${{X}}"  # and is taken as it is


def test_an_empty_key_does_not_stand_against_a_file(tmp_path):
    (tmp_path / "url").write_text("https://beat.example.com\n")
    found = config(folder=tmp_path, alerts={"heartbeat_url": "", "heartbeat_url_file": "url"})
    assert found.alerts.heartbeat_url.get_secret_value() == "https://beat.example.com"


def test_a_file_far_too_large_for_a_secret_is_refused(tmp_path):
    (tmp_path / "large").write_text("x" * 70_000)
    with pytest.raises(ConfigError, match="url_file: names a file that holds more than a secret"):
        config(folder=tmp_path, targets=[{"name": "a", "url_file": "large"}])


def test_no_secret_shows_in_any_text_of_a_config():
    found = good("everything")
    for text in (repr(found), str(found), found.model_dump_json(), json.dumps(found.effective())):
        assert SECRET not in text
    assert found.effective()["targets"][0]["url"] == "**********"


def test_a_secret_that_stands_in_a_wrong_place_as_well_is_masked():
    tricky = 'a"b\\c'
    with pytest.raises(ConfigError) as error:
        parse({"maia": {**ACCOUNT, "client_secret": tricky, "region": f"x{tricky}"}}, env={}, folder=Path())
    assert str(error.value).startswith('config.toml: [maia] region: "x**********" is no region')
    assert error.value.__cause__ is error.value.__context__ is None


def test_a_secret_that_is_a_word_of_ours_leaves_the_message_readable():
    with pytest.raises(ConfigError, match=r'^config.toml: \[maia\] client_secre: unknown key; did you mean "'):
        config(maia={**ACCOUNT, "client_secret": "client", "client_secre": 1})


KEYS_OF_SECRETS = st.sampled_from(
    ["client_secret", "heartbeat_url", "url", "client_secrt", "heartbeat", "link"]
).flatmap(lambda key: st.sampled_from([key, f"{key}_file"]))
WITH_A_SECRET = st.sampled_from(
    [
        SECRET,
        f"slack://{SECRET}/b",
        f"https://me:{SECRET}@h/{SECRET}?{SECRET}",
        f"{SECRET}\n",
        [SECRET],
        {SECRET: SECRET},
    ]
)
TABLES_OF_SECRETS = st.sampled_from(["maia", "alerts", "store", "mia"])


@given(st.dictionaries(TABLES_OF_SECRETS, st.dictionaries(KEYS_OF_SECRETS, WITH_A_SECRET)))
def test_promise_7_an_error_does_not_show_secrets_wherever_they_stand(tables):
    with pytest.raises(ConfigError) as error:  # a client_id is missing at least
        parse({**tables, "targets": list(tables.values())}, env={}, folder=DATA)
    assert SECRET not in f"{error.value}{error.value!r}{error.value.__dict__}"


@given(st.builds(Path, st.sampled_from([SECRET, f"a/{SECRET}", "/dev/null"])))
def test_a_secret_in_the_place_of_its_file_is_not_shown(path):
    with pytest.raises(ConfigError, match="names a file that") as error:
        config(alerts={"heartbeat_url_file": str(path)})
    assert SECRET not in str(error.value)


# --- what is wrong, all at once ---


def expected_lines(path: Path) -> list[str]:
    return [line.removeprefix("#> ") for line in path.read_text().splitlines() if line.startswith("#> ")]


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_each_mistake_has_its_line(path):
    with pytest.raises(ConfigError) as error:
        parse(path.read_text(), env={}, folder=path.parent)
    assert str(error.value).splitlines() == [f"config.toml: {line}" for line in expected_lines(path)]
    assert SECRET not in str(error.value)


def test_lines_begin_with_the_file_as_it_was_named(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("[poll]\nintervall = '30s'")
    with pytest.raises(ConfigError) as error:
        load(path, TWO_VARIABLES)
    assert f'{path}: [poll] intervall: unknown key; did you mean "interval"?' in str(error.value).splitlines()
    assert [problem.key for problem in error.value.problems] == ["client_id", "client_secret", "intervall"]


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read: No such file or directory; name another .* --config"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    (tmp_path / "latin.toml").write_bytes(b"# \xe4")
    with pytest.raises(ConfigError, match=r"latin.toml: is not UTF-8 text"):
        load(tmp_path / "latin.toml", {})


@pytest.mark.parametrize("text", [f"a = {'9' * 5_000}", f"a = {'[' * 500}"], ids=["digits", "brackets"])
def test_toml_that_its_reader_gives_up_on_is_an_error_like_any_other(text):
    with pytest.raises(ConfigError, match="no valid TOML; a number or a nesting in it is far too large"):
        parse(text, env={}, folder=Path())


def test_a_number_too_long_to_print_is_refused():
    with pytest.raises(ConfigError, match="a very large number is too large"):
        parse(f"[metrics]\nmax_pipelines = 0x{'f' * 5_000}", env={}, folder=Path())


def test_bytes_from_the_environment_that_are_no_text_are_refused():
    with pytest.raises(ConfigError, match=r"\[maia\] client_id: is not UTF-8 text"):
        parse({"maia": {**ACCOUNT, "client_id": "\udcff"}}, env={}, folder=Path())


def test_long_values_are_cut_in_messages():
    with pytest.raises(ConfigError) as error:
        config(web={"listen": "x" * 5_000})
    assert f'"{"x" * 100}…" is not host:port' in str(error.value)


def test_a_config_cannot_be_changed():
    found = config()
    with pytest.raises(ValidationError):
        found.poll.interval = timedelta(seconds=1)  # type: ignore[misc]


def test_a_whole_config_can_be_put_together_from_its_parts():
    found = config()
    assert Config(maia=found.maia, poll=found.poll).effective()["poll"] == found.effective()["poll"]


# --- without a file ---


def test_the_environment_alone_is_enough_for_the_account():
    maia = from_environment({**TWO_VARIABLES, "MAIA_CLIENT_SECRET": "with ${ in it", "MAIA_REGION": "us1"})
    assert (maia.client_id, maia.api_url) == ("id", "https://us1.api.matillion.com/dpc")
    assert maia.client_secret.get_secret_value() == "with ${ in it"
    urls = {"MAIA_API_URL": "http://localhost:1/dpc", "MAIA_TOKEN_URL": "http://localhost:1/token"}
    assert from_environment({**TWO_VARIABLES, **urls}).token_url == "http://localhost:1/token"


def test_what_the_environment_lacks_is_named_by_its_variables():
    with pytest.raises(ConfigError) as error:
        from_environment(
            {"MAIA_CLIENT_SECRET": SECRET, "MAIA_REGION": "eu2", "MAIA_API_URL": "http://maia.example.com"}
        )
    assert str(error.value).splitlines() == [
        'environment: MAIA_API_URL: "http://maia.example.com/…" is not encrypted; '
        "write https://; http is for loopback addresses only",
        "environment: MAIA_TOKEN_URL: is not set; set it, or name a config file with --config",
        'environment: MAIA_REGION: "eu2" is no region; did you mean "eu1"?',
        "environment: MAIA_CLIENT_ID: is not set; set it, or name a config file with --config",
    ]


# --- what is allowed and probably not meant ---


def test_a_budget_that_cannot_carry_the_polls_is_warned_about():
    assert config(poll={"interval": "2s"}, maia={**ACCOUNT, "requests_per_minute": 90}).warnings() == ()
    (warning,) = config(poll={"interval": "1s"}).warnings()
    assert warning == (
        '[poll] interval: "1s" takes 180 requests a minute, [maia] requests_per_minute allows 120; polls will be late'
    )


def test_a_region_beside_urls_and_a_target_without_a_route_are_warned_about():
    urls = {"api_url": "https://maia.example.com/dpc", "token_url": "https://maia.example.com/token"}
    targets = [{"name": name, "url": "json://localhost"} for name in ("ops", "dev")]
    found = config(maia={**ACCOUNT, **urls, "region": "eu1"}, targets=targets, routes=[{"targets": ["ops"]}])
    assert found.warnings() == (
        "[maia] region: ignored, because api_url and token_url are given",
        '[[targets]] #2 "dev": no route names it, so it is told nothing',
    )
    assert config(maia={**ACCOUNT, **urls}, targets=targets).warnings() == ()


# --- anything else ---

VALUES = st.recursive(
    st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.datetimes(), st.dates(), st.times())
    | st.sampled_from(["30s", "${A}", "${", "*", "prod", "https://h", "sqlite:///a", "UTC", "API", "FAILED", "cancel"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
KEYS = sorted({key for model in TABLES.values() for key in model.known_keys()})
A_TABLE = st.dictionaries(st.sampled_from(KEYS) | st.text(), VALUES, max_size=8)
A_FILE = st.dictionaries(st.sampled_from(list(TABLES)) | st.text(), A_TABLE | st.lists(A_TABLE, max_size=3) | VALUES)


SWITCHED_ON = uncommented(SHIPPED.read_text())
MISTYPED = st.builds(
    lambda at, word: SWITCHED_ON[:at] + word + SWITCHED_ON[at:],
    st.integers(0, len(SWITCHED_ON)),
    st.text(alphabet="[]{}\"'=,.#\n$a1-", max_size=4) | st.text(max_size=4),
)


def problems_of(content) -> list[str]:
    """The lines of the error, none for a config; anything else that is raised fails the test."""
    try:
        parse(content, env={"A": "a", **TWO_VARIABLES}, folder=Path("/nowhere"))
    except ConfigError as error:
        return str(error).split("\n")
    return []


@given(A_FILE)
def test_any_mapping_is_a_config_or_a_config_error(tables):
    assert all(line.startswith("config.toml: ") for line in problems_of(tables))


@given(st.text() | MISTYPED)
def test_any_text_is_a_config_or_a_config_error(text):
    assert all(line.startswith("config.toml: ") for line in problems_of(text))
