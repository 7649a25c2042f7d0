"""When a config has changed, and what a changed one may do: without a service, by hand."""

import logging
import os
from datetime import UTC, datetime

import pytest

from exporter.clock import SystemClock
from exporter.config_file import ConfigFile
from exporter.metrics.self_metrics import SelfMetrics
from exporter.reloading import Reloader

GOOD = """
[maia]
client_id = "id"
client_secret_file = "secret"
"""


class Taken:
    """Stands for the duty: remembers what it is given."""

    def __init__(self, config):
        self.config = config
        self.configs = []

    def reload(self, config):
        self.config = config
        self.configs.append(config)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.toml").write_text(GOOD)
    (tmp_path / "secret").write_text("s3cret")
    return tmp_path


@pytest.fixture
def file(folder):
    return ConfigFile(folder / "config.toml", {})


class Bench:
    def __init__(self, file):
        config = file.load()
        self.duty = Taken(config)
        self.ours = SelfMetrics(
            version="0", started_at=datetime(2026, 3, 1, tzinfo=UTC), poll_interval=config.poll.interval
        )
        self.reloader = Reloader(file, self.duty, self.ours, clock=SystemClock())

    def successful(self):
        samples = {
            sample.name: sample.value for family in self.ours.registry._everybody.collect() for sample in family.samples
        }
        return samples["maia_exporter_config_last_reload_successful"]


@pytest.fixture
def bench(file):
    return Bench(file)


def write(folder, more=""):
    (folder / "config.toml").write_text(GOOD + more)


def replace_file(folder):
    (folder / "new").write_text(GOOD + "[poll]\n")
    (folder / "new").rename(folder / "config.toml")


def swap_link(folder):
    """As Kubernetes does: the names stay, the folder that they lead through becomes another."""
    for version, text in (("..1", GOOD), ("..2", GOOD + "[poll]\n")):
        (folder / version).mkdir()
        (folder / version / "config.toml").write_text(text)
    (folder / "config.toml").unlink()
    (folder / "..data").symlink_to("..1")
    (folder / "config.toml").symlink_to("..data/config.toml")
    yield
    (folder / "..new").symlink_to("..2")
    os.replace(folder / "..new", folder / "..data")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write(folder, "[poll]\n"),
        replace_file,
        lambda folder: (folder / "config.toml").unlink(),
        lambda folder: (folder / "secret").write_text("another"),
        lambda folder: (folder / "secret").unlink(),
    ],
    ids=["written over", "replaced", "removed", "a secret's file written", "a secret's file removed"],
)
def test_a_change_shows(file, folder, change):
    before = file.digest()
    assert file.digest() == before

    change(folder)

    assert file.digest() != before


def test_a_link_that_is_swapped_shows(file, folder):
    swapping = swap_link(folder)
    next(swapping)
    before = file.digest()
    next(swapping, None)

    assert file.digest() != before


def test_a_file_that_is_written_anew_with_the_same_content_is_no_change(file, folder):
    before = file.digest()
    write(folder)

    assert file.digest() == before


def test_a_change_is_read_when_it_has_kept_still_for_a_look(bench, folder):
    write(folder, "[poll]\ninter")
    bench.reloader.look()
    write(folder, '[poll]\ninterval = "7s"\n')
    bench.reloader.look()
    assert not bench.duty.configs, "the half-written file was never read"
    assert bench.successful() == 1

    for _ in range(3):
        bench.reloader.look()

    assert [config.poll.interval.total_seconds() for config in bench.duty.configs] == [7]


def test_a_bad_config_changes_nothing_and_says_everything(bench, folder, caplog):
    write(folder, '[poll]\nintervall = "7s"\nlookback = 7\n')
    for _ in range(3):
        bench.reloader.look()

    assert not bench.duty.configs
    assert bench.successful() == 0
    assert caplog.text.count("unknown key") == 1, "it is said once"
    assert "[poll] lookback" in caplog.text
    write(folder)
    for _ in range(2):
        bench.reloader.look()
    assert bench.successful() == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Apprise's plug-ins
def test_a_target_that_apprise_does_not_know_is_as_wrong_as_at_a_start(bench, folder, caplog):
    write(folder, '[[targets]]\nname = "x"\nurl = "unheard-of://x"\n')

    assert bench.reloader.reload() is False
    assert '[[targets]] #1 "x" url' in caplog.text
    assert not bench.duty.configs


def test_web_and_store_wait_for_a_restart_and_the_rest_does_not(bench, folder, caplog):
    write(
        folder,
        '[web]\nlisten = "127.0.0.1:1"\nopen_page = true\n[store]\nretention = "100d"\n[metrics]\nmax_pipelines = 7\n',
    )

    assert bench.reloader.reload() is True

    assert "[web] listen, open_page: changed" in caplog.text
    assert "[store] retention: changed" in caplog.text
    (config,) = bench.duty.configs
    assert config.metrics.max_pipelines == 7
    assert config.web.listen == "0.0.0.0:9986"
    assert not config.web.open_page
    assert config.store.retention.days == 90


def test_one_that_says_the_same_is_read_and_changes_nothing(bench, folder, caplog):
    caplog.set_level(logging.INFO)
    bench.reloader.ask()
    bench.reloader.look()

    assert not bench.duty.configs
    assert bench.successful() == 1
    assert "nothing in it has changed" in caplog.text


def test_a_secret_that_has_changed_is_taken_and_shows_nowhere(bench, folder, caplog):
    caplog.set_level(logging.DEBUG)
    (folder / "secret").write_text("n3w-secret")
    for _ in range(2):
        bench.reloader.look()

    (config,) = bench.duty.configs
    assert config.maia.client_secret.get_secret_value() == "n3w-secret"
    assert "n3w-secret" not in caplog.text
