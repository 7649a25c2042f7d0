"""The layers of the house, held by reading the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "exporter"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations/versions" not in path.as_posix())

LAYERS = (
    ("core", "clock", "heap", "logs", "signals", "version"),
    ("config", "maia", "apprise_answers"),
    ("store", "access"),
    ("metrics", "apprise_channel"),
    ("web", "observer", "discovery", "account", "notifier", "oddities", "canceller", "leadership"),
    ("alerting", "desk", "archive", "config_file"),
    ("limiting", "chores"),
    ("poller",),
    ("watch",),
    ("duty",),
    ("reloading",),
    ("app",),
    ("cli",),
)
"""Lowest first: a module imports its own layer's room or lower ones. Type hints count like any other import."""

THIRD_PARTY = {
    "apprise": {"apprise_channel"},
    "httpx": {"maia", "notifier"},
    "httpcore": {"maia"},
    "tomli": {"config", "simulator"},
    "pydantic": {"config"},
    "msgspec": {"maia", "store", "web"},
    "sqlalchemy": {"store", "leadership", "account", "desk", "alerting", "limiting", "notifier", "canceller", "cli"},
    "alembic": {"store"},
    "prometheus_client": {"metrics"},
    "starlette": {"web", "simulator"},
    "uvicorn": {"web", "simulator"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "yaml": {"web"},
    "bcrypt": {"web"},
    "click": {"cli"},
    "rich": {"cli"},
}
"""Which rooms may know a library."""

CORE_MAY_IMPORT = {
    "__future__", "bisect", "collections", "dataclasses", "datetime", "enum", "fnmatch", "functools", "hashlib",
    "itertools", "json", "math", "operator", "re", "typing", "unicodedata", "urllib.parse", "exporter",
}  # fmt: skip


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Full names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "exporter":
                yield from (f"exporter.{alias.name}" for alias in node.names)


def rooms_imported(path):
    return {name.split(".")[1] for name in imports(path) if name.startswith("exporter.")} - {"__version__"}


def layer(name):
    for number, rooms in enumerate(LAYERS):
        if name in rooms:
            return number
    return None


LAYERED = [path for path in MODULES if room(path) not in ("__init__", "__main__", "simulator")]


@pytest.mark.parametrize("path", LAYERED, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downward(path):
    mine = room(path)
    assert layer(mine) is not None, f"{mine} has no layer: give it one"
    for other in rooms_imported(path) - {mine}:
        if other == "simulator":
            assert mine == "cli", "only commands start the simulator"
        else:
            assert layer(other) is not None, f"{other} has no layer: give it one"
            assert layer(other) < layer(mine), f"{mine} imports {other}"


def test_the_simulator_imports_nothing_else_of_the_package():
    for path in (PACKAGE / "simulator").rglob("*.py"):
        assert rooms_imported(path) <= {"simulator"}, path


def test_the_core_is_pure():
    for path in (PACKAGE / "core").rglob("*.py"):
        named = {name if name in CORE_MAY_IMPORT else name.split(".")[0] for name in imports(path)}
        foreign = named - CORE_MAY_IMPORT
        assert not foreign, f"{path}: {foreign}"


@pytest.mark.parametrize("library", THIRD_PARTY)
def test_a_library_is_known_in_its_rooms_only(library):
    knowing = {room(path) for path in MODULES if any(name.split(".")[0] == library for name in imports(path))}

    assert knowing <= THIRD_PARTY[library]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_has_400_lines_at_most_and_says_what_it_is_for(path):
    text = path.read_text()

    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "no module docstring"


def test_no_room_is_called_after_nothing():
    assert not {path.stem for path in MODULES} & {"utils", "helpers", "base", "manager", "common", "misc"}
