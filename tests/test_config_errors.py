"""What is said when a config is wrong: everything at once, each with its place, and never a secret."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import Config, ConfigError, load, parse
from exporter.config.load import TABLES

DATA = Path(__file__).parent / "data" / "config"
BAD = sorted((DATA / "bad").glob("*.toml"))
SECRET = "s3cr3t-value"
TWO_VARIABLES = {"MAIA_CLIENT_ID": "id", "MAIA_CLIENT_SECRET": SECRET}
ACCOUNT = {"client_id": "id", "client_secret": SECRET}


def config(folder: Path = Path("/etc/maia"), **tables: object) -> Config:
    return parse({"maia": ACCOUNT, **tables}, env={}, folder=folder)


@pytest.mark.parametrize("url", ["beat", "ftp://beat.example.com", "https://", "https://[::1", "https://beat/a b"])
def test_a_heartbeat_that_cannot_be_fetched_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError, match=r"heartbeat_url: is not an http:// or https:// URL$"):
        config(alerts={"heartbeat_url": url})


# --- secrets ---


def test_a_file_far_too_large_for_a_secret_is_refused(tmp_path):
    (tmp_path / "large").write_text("x" * 70_000)
    with pytest.raises(ConfigError, match="url_file: names a file that holds more than a secret"):
        config(folder=tmp_path, targets=[{"name": "a", "url_file": "large"}])


def test_no_secret_shows_in_any_text_of_a_config():
    found = load(DATA / "good" / "everything.toml", {})
    for text in (repr(found), str(found), found.model_dump_json(), json.dumps(found.effective())):
        assert SECRET not in text
    assert found.effective()["targets"][0]["url"] == "**********"


def test_a_secret_that_stands_in_a_wrong_place_as_well_is_masked():
    tricky = 'a"b\\c'
    with pytest.raises(ConfigError) as error:
        parse({"maia": {**ACCOUNT, "client_secret": tricky, "region": f"x{tricky}"}}, env={}, folder=Path())
    assert str(error.value).startswith('config.toml: [maia] region: "x**********" is no region')
    assert error.value.__cause__ is error.value.__context__ is None


def test_a_secret_that_is_given_twice_is_masked_as_well():
    with pytest.raises(ConfigError) as error:
        config(maia={**ACCOUNT, "client_secret_file": "secret", "region": SECRET})
    assert "client_secret_file: client_secret is given as well" in str(error.value)
    assert '"**********" is no region' in str(error.value)


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


FULL = (DATA / "good" / "everything.toml").read_text()
MISTYPED = st.builds(
    lambda at, word: FULL[:at] + word + FULL[at:],
    st.integers(0, len(FULL)),
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
