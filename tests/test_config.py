"""What a config file may say, what it means, and what is said about what is probably not meant."""

import re
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tomli
from pydantic import ValidationError

from exporter.config import Config, ConfigError, from_environment, load, parse
from exporter.config.addresses import is_loopback
from exporter.config.load import TABLES
from exporter.config.secret_files import secret_files
from exporter.core.globs import Scope

SHIPPED = Path(__file__).parent.parent / "config.toml"
DATA = Path(__file__).parent / "data" / "config"
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
    assert (len(found.routes), len(found.expectations), len(found.limits)) == (5, 9, 4)


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


def test_every_secret_is_known_so_that_the_log_can_cover_it():
    found = good("everything")

    assert set(found.secrets()) == {
        SECRET,
        f"https://beat.example.com/{SECRET}",
        f"json://localhost/{SECRET}",
    }


@pytest.mark.parametrize(
    ("url", "covered"),
    [
        ("sqlite:///maia.db", set()),
        ("postgresql+psycopg://db/maia", set()),
        ("postgresql+psycopg://me:p%40w@db/maia?application_name=x", {"p%40w", "p@w"}),
        ("postgresql+psycopg://db/maia?password=a+b&sslpassword=", {"a+b"}),
    ],
)
def test_of_the_store_its_password_alone_is_a_secret(url, covered):
    found = parse(f'[store]\nurl = "{url}"\n[maia]\nclient_id = "id"\nclient_secret = "s"\n', env={}, folder=Path())

    assert set(found.store.secrets()) == covered


def test_a_secret_can_come_from_a_file_beside_the_config(tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET}${{X}}\r\n\n")
    found = parse('[maia]\nclient_id = "id"\nclient_secret_file = "secret"', env={}, folder=tmp_path)
    assert found.maia.client_secret.get_secret_value() == f"{SECRET}${{X}}"  # and is taken as it is


def test_an_empty_key_does_not_stand_against_a_file(tmp_path):
    (tmp_path / "url").write_text("https://beat.example.com\n")
    found = config(folder=tmp_path, alerts={"heartbeat_url": "", "heartbeat_url_file": "url"})
    assert found.alerts.heartbeat_url.get_secret_value() == "https://beat.example.com"


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[maia]\nclient_secret_file = "secret"\n', ["secret"]),
        ('maia = 3\n[[targets]]\nname = "x"\nurl_file = "${HOOKS}/x"\n[[targets]]\nurl_file = 3\n', ["hooks/x"]),
        ('[[targets]]\nurl_file = "${NOBODY_SETS_THIS}"\n', []),
        ('[[targets]]\nurl_file = ""\n[web]\nconfig_file = "web.yml"\n', []),
        ("no toml [", []),
    ],
)
def test_the_files_of_secrets_are_known_however_wrong_the_rest_is(text, found):
    folder = Path("/etc/maia")

    assert list(secret_files(text, env={"HOOKS": "hooks"}, folder=folder)) == [folder / name for name in found]


def test_a_glob_of_many_brackets_is_judged_at_once():
    """A pattern that is tried in every way there is would take longer than anybody waits."""
    maia = {"client_id": "id", "client_secret": "s3cr3t-value"}
    limit = {"name": "l", "projects": ["[a]" * 60 + "x"], "warn_after": "1h"}
    tables = {"maia": maia, "poll": {"projects": ["Finance"]}, "limits": [limit]}
    with pytest.raises(ConfigError, match="can never match"):
        parse(tables, env={}, folder=Path("/nowhere"))
