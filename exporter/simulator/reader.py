"""Reads a script from TOML, strictly: an error names the file, the key and what to write instead.

Must not know what the world does with it.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import tomli

from exporter.simulator import script as says
from exporter.simulator.table import ScriptError, Table, nearest

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
    table = Table(source, "", data)
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
    _check_names(script, source)
    return script


def _check_names(script: says.Script, source: str) -> None:
    """Every project and pipeline once; what is called is there, and calls nobody who calls it."""
    keys = [project.key for project in script.projects]
    for number, key in enumerate(keys, 1):
        if keys.index(key) + 1 != number:
            raise ScriptError(f"{source}: projects[{number}].key: {key!r} is there twice; give one another key")
    places: dict[tuple[str, str, str], says.PipelineSpec] = {}
    for number, spec in enumerate(script.pipelines, 1):
        where = f"{source}: pipelines[{number}]"
        if spec.count > 1 and "{n}" not in spec.name:
            raise ScriptError(f"{where}.name: {spec.name!r} is the same {spec.count} times; write {{n}} into it")
        for environment in spec.environments:
            for name in spec.names():
                if (spec.project, environment, name) in places:
                    raise ScriptError(f"{where}.name: {name!r} is there twice in {spec.project} {environment}")
                places[spec.project, environment, name] = spec
    for number, spec in enumerate(script.pipelines, 1):
        for environment in spec.environments:
            chain = {spec.name}
            waiting = list(spec.calls)
            while waiting:
                name = waiting.pop()
                called = places.get((spec.project, environment, name))
                if called is None or name in chain:
                    reason = "is not in the same project and environment" if called is None else "calls itself"
                    raise ScriptError(f"{source}: pipelines[{number}].calls: {name!r} {reason}")
                chain.add(name)
                waiting += called.calls


def changed_answers(answers: says.Answers, changes: dict[str, Any], *, source: str) -> says.Answers:
    """A dialect with some settings changed; ScriptError names the setting."""
    kinds = {item.name: item for item in dataclasses.fields(says.Answers)}
    for key, value in changes.items():
        where = f"{source}: answers.{key}"
        if key not in kinds:
            raise ScriptError(f"{where}: unknown key{nearest(key, list(kinds))}")
        allowed = _CHOICES.get(key, (True, False))
        if not any(value is choice or (value == choice and type(value) is type(choice)) for choice in allowed):
            raise ScriptError(f"{where}: {value!r}; choose one of {', '.join(map(repr, allowed))}")
    return dataclasses.replace(answers, **changes)


def _project(table: Table) -> says.ProjectSpec:
    name = table.text("name")
    spec = says.ProjectSpec(
        key=table.text("key", name),
        name=name,
        environments=table.texts("environments", ("prod",)),
        description=table.text("description", ""),
        agent=table.text("agent", ""),
        forbidden=table.flag("forbidden", default=False),
    )
    table.close()
    return spec


def _pipeline(table: Table, projects: tuple[says.ProjectSpec, ...]) -> says.PipelineSpec:
    project = table.choice("project", tuple(each.key for each in projects))
    environments = next(each.environments for each in projects if each.key == project)
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


def _moment(table: Table, pipelines: tuple[says.PipelineSpec, ...]) -> says.Moment:
    project = table.choice("project", tuple(dict.fromkeys(each.project for each in pipelines)))
    names = {name: each.environments for each in pipelines if each.project == project for name in each.names()}
    pipeline = table.choice("pipeline", tuple(names))
    environments = names[pipeline]
    status = table.choice("status", STATUSES, "SUCCESS")
    moment = says.Moment(
        project=project,
        environment=table.choice("environment", environments, environments[0]),
        pipeline=pipeline,
        at=table.duration("at", signed=True),
        every=table.duration("every", None),
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


def _change(table: Table, projects: tuple[says.ProjectSpec, ...]) -> says.Change:
    project = table.choice("project", tuple(each.key for each in projects))
    environments = next(each.environments for each in projects if each.key == project)
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


def _fault_window(table: Table) -> says.FaultWindow:
    start = table.duration("from", timedelta(), signed=True)
    end, every = table.duration("until", None), table.duration("every", None)
    if end is not None and end <= start:
        raise table.error("until", "is not after from")
    return says.FaultWindow(fault=table.rest(), start=start, end=end, every=every)
