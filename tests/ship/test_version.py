"""A bug report says what runs: version, commit, Python, dependencies."""

import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from e2e.processes import EXPORTER, until

from exporter import __version__, version

ROOT = Path(__file__).parents[2]


def git(folder, *words):
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_command_tells_version_commit_python_and_every_dependency():
    done = subprocess.run([EXPORTER, "--version"], capture_output=True, text=True, timeout=20)

    assert done.returncode == 0
    first, second, *others = done.stdout.splitlines()
    assert first.startswith(f"maia-exporter, version {__version__} (revision: {git(ROOT, 'rev-parse', 'HEAD')}")
    assert second.startswith("Python 3.")
    assert "SQLite 3." in second
    assert f"httpx {metadata.version('httpx')}" in others
    assert f"psycopg {metadata.version('psycopg')}" in others
    assert not any(line.startswith("pytest") for line in others)
    assert not any("not installed" in line for line in others)


def test_a_checkout_tells_its_commit_and_that_it_was_changed(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")

    assert version._checked_out(tmp_path) == commit
    (tmp_path / "file").write_text("2")
    assert version._checked_out(tmp_path) == f"{commit}-dirty"


def test_a_folder_inside_somebody_elses_checkout_is_none_of_ours(tmp_path):
    git(tmp_path, "init", "-q")
    inside = tmp_path / "site-packages"
    inside.mkdir()

    assert version._checked_out(inside) == ""


def test_a_checkout_without_a_commit_or_without_git_has_no_commit(tmp_path, monkeypatch: pytest.MonkeyPatch):
    git(tmp_path, "init", "-q")
    assert version._checked_out(tmp_path) == ""

    monkeypatch.setenv("PATH", "/nowhere")
    assert version._checked_out(tmp_path) == ""


@pytest.mark.e2e
def test_the_metric_tells_the_same_commit(stage):
    service = stage.service(api="http://127.0.0.1:9")
    until(lambda: service.get("/-/healthy").status_code == 200, what="it serves")

    assert service.sample("maia_exporter_build_info", version=__version__, revision=version.revision()) == 1
