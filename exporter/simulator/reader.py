"""Reads a script from TOML, strictly: an error names the file, the key and what to write instead.

Must not know what the world does with it.
"""

from __future__ import annotations

import dataclasses
import difflib
from datetime import timedelta
from pathlib import Path
from typing import Any

import tomli

from exporter.simulator import script as says
from exporter.simulator.times import parse_duration

SCRIPTS = Path(__file__).parent / "scripts"
STATUSES = ("SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN", "UNKNOWN", "RUNNING")
TRIGGERS = ("DESIGNER", "API", "SCHEDULE", "SCHEDULE_RUN_NOW", "UNKNOWN")
_CHOICES: dict[str, tuple[object, ...]] = {
    "zone": ("Z", "", "+00:00", "+02:00", "-05:00"),
    "undated_order": ("first", "last", "created"),
    "status_values": ("all", "refuse", "first", "last"),
    "agent_id_key": ("defaultAgentId", "defaultAgentID"),
    "cancel_finished": (200, 400, 404, 409),
    "retry_after": ("seconds", "date"),
    "page_tokens": ("key", "offset"),
    "fraction_digits": (None, 0, 1, 2, 3, 4, 5, 6),
}


class ScriptError(ValueError):
    """A script cannot be used; the message is for the person who wrote it."""


def named_scripts() -> list[str]:
    """The names of the scripts that ship with the simulator."""
    return sorted(path.stem for path in SCRIPTS.glob("*.toml"))


def load_script(script: str | Path | says.Script) -> says.Script:
    """Take a script as it is, by its name, or from a file; ScriptError if it cannot be used."""
    if isinstance(script, says.Script):
        return script
    named = SCRIPTS / f"{script}.toml"
    path = named if str(script) in named_scripts() else Path(script)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = f"a script is a file or one of {', '.join(named_scripts())}"
        raise ScriptError(f"cannot read the script {script}: {error}; {hint}") from error
    return parse_script(text, source=path.name)


def parse_script(text: str, *, source: str = "script.toml") -> says.Script:
    """Read a script from TOML text; ScriptError names `source` and the key."""
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ScriptError(f"{source}: not valid TOML: {error}") from error
    table = _Table(source, "", data)
    projects = tuple(_project(each) for each in table.tables("projects"))
    pipelines = tuple(_pipeline(each, projects) for each in table.tables("pipelines"))
    token = table.table("token")
    script = says.Script(
        name=Path(source).stem,
        about=table.text("about", ""),
        history=table.duration("history", timedelta(days=1)),
        clock_offset=table.duration("clock_offset", timedelta(), signed=True),
        token_expires_in=token.duration("expires_in", timedelta(minutes=30)),
        token_dies_after=token.duration("dies_after", None),
        requests_per_minute=int(table.number("requests_per_minute", 1000, least=1)),
        answers=changed_answers(says.Answers(), table.raw("answers", dict, {}), source=source),
        projects=projects,
        pipelines=pipelines,
        runs=tuple(_moment(each, pipelines) for each in table.tables("runs")),
        changes=tuple(_change(each, projects) for each in table.tables("changes")),
        faults=tuple(_fault_window(each) for each in table.tables("faults")),
    )
    token.close()
    table.close()
    if not projects:
        raise ScriptError(f"{source}: projects: there is none; write [[projects]] with a name and environments")
    return script


def changed_answers(answers: says.Answers, changes: dict[str, Any], *, source: str) -> says.Answers:
    """A dialect with some settings changed; ScriptError names the setting."""
    kinds = {item.name: item for item in dataclasses.fields(says.Answers)}
    for key, value in changes.items():
        where = f"{source}: answers.{key}"
        if key not in kinds:
            raise ScriptError(f"{where}: unknown key{_nearest(key, list(kinds))}")
        allowed = _CHOICES.get(key, (True, False))
        if not any(value is choice or (value == choice and type(value) is type(choice)) for choice in allowed):
            raise ScriptError(f"{where}: {value!r}; choose one of {', '.join(map(repr, allowed))}")
    return dataclasses.replace(answers, **changes)


def _project(table: _Table) -> says.ProjectSpec:
    spec = says.ProjectSpec(
        name=table.text("name"),
        environments=table.texts("environments", ("prod",)),
        description=table.text("description", ""),
        agent=table.text("agent", ""),
        forbidden=table.flag("forbidden", default=False),
    )
    table.close()
    return spec


def _pipeline(table: _Table, projects: tuple[says.ProjectSpec, ...]) -> says.PipelineSpec:
    project = table.choice("project", tuple(each.name for each in projects))
    environments = next(each.environments for each in projects if each.name == project)
    default = says.PipelineSpec(project=project, environments=environments, name="")
    spec = says.PipelineSpec(
        project=project,
        environments=table.texts("environments", environments, among=environments),
        name=table.text("name"),
        count=int(table.number("count", 1, least=1)),
        type=table.text("type", default.type),
        every=table.duration("every", None),
        jitter=table.number("jitter", default.jitter, least=0, most=1),
        duration=table.duration("duration", default.duration),
        spread=table.number("spread", default.spread, least=0, most=1),
        outcomes=table.weights("outcomes", (*STATUSES[:-1], "HANG"), default.outcomes),
        messages=table.texts("messages", ()),
        triggers=table.weights("triggers", TRIGGERS, default.triggers),
        users=table.texts("users", default.users),
        steps=table.texts("steps", default.steps),
        calls=table.texts("calls", ()),
        published=table.flag("published", default=True),
        disabled=table.flag("disabled", default=False),
        cancel=says.CancelManner(table.choice("cancel", tuple(says.CancelManner), default.cancel)),
        cancel_takes=table.duration("cancel_takes", default.cancel_takes),
    )
    table.close()
    return spec


def _moment(table: _Table, pipelines: tuple[says.PipelineSpec, ...]) -> says.Moment:
    project = table.choice("project", tuple(dict.fromkeys(each.project for each in pipelines)))
    names = tuple(each.name for each in pipelines if each.project == project)
    pipeline = table.choice("pipeline", names)
    environments = next(each.environments for each in pipelines if (each.project, each.name) == (project, pipeline))
    status = table.choice("status", STATUSES, "SUCCESS")
    moment = says.Moment(
        project=project,
        environment=table.choice("environment", environments, environments[0]),
        pipeline=pipeline,
        at=table.duration("at", signed=True),
        duration=None if status == "RUNNING" else table.duration("duration", timedelta(minutes=5)),
        status=status,
        message=table.text("message", ""),
        trigger=table.choice("trigger", TRIGGERS, "SCHEDULE"),
        user=table.text("user", ""),
        cancel=says.CancelManner(table.choice("cancel", tuple(says.CancelManner))) if "cancel" in table else None,
        undated=table.flag("undated", default=False),
    )
    table.close()
    return moment


def _change(table: _Table, projects: tuple[says.ProjectSpec, ...]) -> says.Change:
    project = table.choice("project", tuple(each.name for each in projects))
    environments = next(each.environments for each in projects if each.name == project)
    flags = {key: table.flag(key) for key in ("allowed", "published", "disabled", "forbidden") if key in table}
    change = says.Change(
        at=table.duration("at", signed=True),
        project=project,
        environment=table.choice("environment", environments, "") if "environment" in table else "",
        pipeline=table.text("pipeline", ""),
        **flags,
    )
    table.close()
    if not flags:
        raise table.error("allowed", "nothing changes; give allowed, published, disabled or forbidden")
    return change


def _fault_window(table: _Table) -> says.FaultWindow:
    start = table.duration("from", timedelta(), signed=True)
    end, every = table.duration("until", None), table.duration("every", None)
    if end is not None and end <= start:
        raise table.error("until", "is not after from")
    return says.FaultWindow(fault=table.rest(), start=start, end=end, every=every)


def _nearest(word: str, words: list[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(words)}"


_REQUIRED: Any = object()


class _Table:
    """One TOML table, whose keys are taken one by one; `close` refuses what nobody took."""

    def __init__(self, source: str, path: str, data: dict[str, Any]) -> None:
        self._source, self._path, self._data = source, path, data
        self._taken: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def error(self, key: str, reason: str) -> ScriptError:
        """What is wrong with a key, naming file and place."""
        return ScriptError(f"{self._source}: {self._path}{key}: {reason}")

    def raw(self, key: str, kind: type | tuple[type, ...], default: Any = _REQUIRED) -> Any:
        """A value of one of these types."""
        self._taken.append(key)
        if key not in self._data:
            if default is _REQUIRED:
                raise self.error(key, "is missing")
            return default
        value = self._data[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, f"{value!r} is not of the right kind ({kind})")
        return value

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A string."""
        return str(self.raw(key, str, default))

    def flag(self, key: str, *, default: bool = _REQUIRED) -> bool:
        """True or false."""
        return bool(self.raw(key, bool, default))

    def number(self, key: str, default: float, *, least: float, most: float = float("inf")) -> float:
        """A number within bounds."""
        value = float(self.raw(key, (int, float), default))
        if not least <= value <= most:
            raise self.error(key, f"{value:g} is not between {least:g} and {most:g}")
        return value

    def duration(self, key: str, default: Any = _REQUIRED, *, signed: bool = False) -> Any:
        """A timedelta from a string with a unit; negative only where `signed`."""
        if key not in self._data and default is not _REQUIRED:
            self._taken.append(key)
            return default
        try:
            value = parse_duration(self.text(key))
        except ScriptError:
            raise
        except ValueError as error:
            raise self.error(key, str(error)) from error
        if value < timedelta() and not signed:
            raise self.error(key, f"{self._data[key]!r} is negative")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str = _REQUIRED) -> str:
        """One of several words."""
        value = self.text(key, default)
        if value not in choices and key in self._data:
            raise self.error(key, f"{value!r} is unknown{_nearest(value, list(choices))}")
        return value

    def texts(self, key: str, default: tuple[str, ...], *, among: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of strings."""
        values = tuple(self.raw(key, list, list(default)))
        for value in values:
            if not isinstance(value, str):
                raise self.error(key, f"{value!r} is not a string")
            if among and value not in among:
                raise self.error(key, f"{value!r} is unknown{_nearest(value, list(among))}")
        return values

    def weights(
        self, key: str, words: tuple[str, ...], default: tuple[tuple[str, float], ...]
    ) -> tuple[tuple[str, float], ...]:
        """A table of words and weights."""
        weights = self.raw(key, dict, dict(default))
        for word, weight in weights.items():
            if word not in words:
                raise self.error(f"{key}.{word}", f"unknown{_nearest(word, list(words))}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight < 0:
                raise self.error(f"{key}.{word}", f"{weight!r} is not a weight; write a number from 0 up")
        if sum(weights.values()) <= 0:
            raise self.error(key, "all weights are 0")
        return tuple(weights.items())

    def table(self, key: str) -> _Table:
        """A table inside this one; empty where absent."""
        return _Table(self._source, f"{self._path}{key}.", self.raw(key, dict, {}))

    def tables(self, key: str) -> list[_Table]:
        """A list of tables inside this one."""
        items = self.raw(key, list, [])
        if not all(isinstance(item, dict) for item in items):
            raise self.error(key, f"write [[{key}]]")
        return [_Table(self._source, f"{self._path}{key}[{n}].", item) for n, item in enumerate(items, 1)]

    def rest(self) -> dict[str, Any]:
        """Everything that nobody took."""
        return {key: value for key, value in self._data.items() if key not in self._taken}

    def close(self) -> None:
        """ScriptError for the first key that nobody took."""
        for key in self.rest():
            raise self.error(key, f"unknown key{_nearest(key, sorted(set(self._taken)))}")
