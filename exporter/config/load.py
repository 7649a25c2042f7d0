"""From a file, a text, a mapping or the environment to a `Config`, or to one error with everything that is wrong.

Must not read anything but the config file and the files it names for its secrets; the environment is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import tomli

from exporter.config.checks import problems_between
from exporter.config.entry import Entry, read_entry
from exporter.config.errors import BadValueError, ConfigError, Problem, quoted, shown, shown_key, suggestion
from exporter.config.root import Config
from exporter.config.section import Section
from exporter.config.sections import MaiaSettings
from exporter.config.values import name as proper_name

ENVIRONMENT_NAMES = {
    "client_id": "MAIA_CLIENT_ID",
    "client_secret": "MAIA_CLIENT_SECRET",
    "region": "MAIA_REGION",
    "api_url": "MAIA_API_URL",
    "token_url": "MAIA_TOKEN_URL",
}
"""Keys of [maia] and the variables that the commands of the guide take them from when there is no file."""


ARRAYS: dict[str, type[Section]] = {
    name: get_args(field.annotation)[0]
    for name, field in Config.model_fields.items()
    if get_origin(field.annotation) is tuple
}
"""Arrays of tables, by name, with what each row becomes."""

TABLES: dict[str, type[Section]] = {
    name: ARRAYS.get(name) or cast("type[Section]", field.annotation) for name, field in Config.model_fields.items()
}
"""All tables a file can have."""


Check = Callable[[Mapping[str, Sequence[Entry]]], Iterable[Problem]]
"""Looks for more that is wrong, in entries by the name of their table; a table that is none has no entry."""


def load(path: Path, env: Mapping[str, str], *, only: Collection[str] = TABLES, also: Check | None = None) -> Config:
    """Read a config file. Raises `ConfigError`, with what the check `also` finds among the rest.

    Of the tables there are, all that are not `only` asked for are as if they were not written.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        problem = Problem("", "", what, "name another file with --config")
    except ValueError:
        problem = Problem("", "", "is not UTF-8 text", "save it as UTF-8")
    else:
        return parse(text, env=env, folder=path.absolute().parent, source=str(path), only=only, also=also)
    raise ConfigError(str(path), [problem])


def parse(
    content: str | Mapping[str, Any],
    *,
    env: Mapping[str, str],
    folder: Path,
    source: str = "config.toml",
    only: Collection[str] = TABLES,
    also: Check | None = None,
) -> Config:
    """Turn TOML, or what a TOML reader made of it, into a `Config`. Raises `ConfigError`, its lines led by `source`.

    `folder` is where relative paths start; `only` and `also` are as in `load`. Reads the files that `…_file` keys of
    secrets name, and nothing else.
    """
    tables = _read_toml(content, source) if isinstance(content, str) else content
    tables = {key: value for key, value in tables.items() if key in only or key not in TABLES}
    problems = [_unknown_table(key, value) for key, value in tables.items() if key not in TABLES]
    entries: dict[str, list[Entry]] = {}
    for name, model in TABLES.items():
        try:
            rows = _rows_of(name, tables)
        except BadValueError as error:
            problems.append(Problem(_heading(name), "", error.what, error.hint))
            continue
        entries[name] = [read_entry(model, row, label=label, env=env, folder=folder) for label, row in rows]
    read = [entry for rows in entries.values() for entry in rows]
    problems += [problem for entry in read for problem in entry.problems]
    problems += problems_between(entries)
    problems += also(entries) if also else ()
    if problems:
        position = {entry.label: number for number, entry in enumerate(read)}
        problems.sort(key=lambda problem: position.get(problem.table, -1))
        raise ConfigError(source, problems, secrets=[secret for entry in read for secret in entry.secrets])
    values = {name: [entry.value for entry in rows] for name, rows in entries.items()}
    return Config.model_validate({name: rows if name in ARRAYS else rows[0] for name, rows in values.items()})


def from_environment(env: Mapping[str, str]) -> MaiaSettings:
    """Read [maia] from `MAIA_…` variables alone, for commands that work without a file. Raises `ConfigError`."""
    table = {key: f"${{{variable}}}" for key, variable in ENVIRONMENT_NAMES.items() if env.get(variable)}
    entry = read_entry(MaiaSettings, table, label="", env=env, folder=Path())
    if isinstance(entry.value, MaiaSettings):
        return entry.value
    problems = []
    for problem in entry.problems:
        variable = ENVIRONMENT_NAMES[problem.key]
        if problem.key in table:
            problems.append(replace(problem, key=variable))
        else:
            problems.append(Problem("", variable, "is not set", "set it, or name a config file with --config"))
    raise ConfigError("environment", problems, secrets=entry.secrets)


def _read_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        problem = Problem("", "", f"no valid TOML at line {error.lineno}, column {error.colno}: {error.msg}")
    except (ValueError, RecursionError):  # numbers of thousands of digits, hundreds of brackets
        problem = Problem("", "", "no valid TOML", "a number or a nesting in it is far too large")
    raise ConfigError(source, [problem])


def _rows_of(name: str, tables: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the rows of an array of tables, or the one table, each with its label. Raises `BadValueError`."""
    if name not in ARRAYS:
        table = tables.get(name, {})
        if not isinstance(table, Mapping):
            raise BadValueError(f"expected a table, not {_kind(table)}", f"write [{name}] once, and its keys below it")
        return [(f"[{name}]", table)]
    rows = tables.get(name, [])
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise BadValueError(f"expected tables, not {_kind(rows)}", f"write [[{name}]] for each, and its keys below it")
    return [(_label(name, number, row.get("name")), row) for number, row in enumerate(rows, 1)]


def _label(name: str, number: int, row_name: object) -> str:
    """Name a row by its position and, where it has a proper one, its name."""
    label = f"{_heading(name)} #{number}"
    try:
        return f"{label} {quoted(proper_name(row_name))}"
    except BadValueError:
        return label


def _unknown_table(key: str, value: object) -> Problem:
    if isinstance(value, Mapping):
        return Problem(f"[{shown_key(key)}]", "", "unknown table", suggestion(key, TABLES, show=_heading))
    if isinstance(value, list):
        return Problem(f"[[{shown_key(key)}]]", "", "unknown table", suggestion(key, TABLES, show=_heading))
    homes = [_heading(name) for name, model in TABLES.items() if key in model.known_keys()]
    hint = f"it belongs below {' or '.join(homes)}" if homes else suggestion(key, TABLES, show=_heading)
    return Problem("", shown_key(key), "unknown key outside of a table", hint)


def _heading(name: str) -> str:
    return f"[[{name}]]" if name in ARRAYS else f"[{name}]"


def _kind(value: object) -> str:
    return shown(value) if isinstance(value, Mapping | list) else "a single value"
