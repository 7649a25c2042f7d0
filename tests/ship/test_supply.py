"""What is installed is what was locked: every dependency, exact, with hashes, and no host named."""

import re
from pathlib import Path

import pytest
import tomli
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .image import locked

ROOT = Path(__file__).parents[2]
LOCKS = {"requirements.lock": ("postgresql",), "requirements-dev.lock": ("postgresql", "dev")}
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_exact_has_hashes_and_names_no_host(lock):
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=\S)(?!#)", text, flags=re.MULTILINE)[1:]

    assert len(entries) == len(locked(ROOT / lock))
    for entry in entries:
        assert re.match(r"\S+==\S+( ; .+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", entry), entry
    assert not re.search(r"://|^\s*--(?!hash=)|@", text, re.MULTILINE)


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_every_dependency_is_locked_within_its_range(lock, extras):
    versions = {canonicalize_name(name): version for name, version in locked(ROOT / lock)}
    wanted = [*PROJECT["dependencies"]]
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]

    for requirement in map(Requirement, wanted):
        version = versions.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not in {lock}: run scripts/lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{lock} has {version}: run scripts/lock"


def test_what_is_tested_is_what_is_installed():
    tested = dict(locked(ROOT / "requirements-dev.lock"))

    assert {name: tested.get(name) for name, _ in locked(ROOT / "requirements.lock")} == dict(
        locked(ROOT / "requirements.lock")
    )
