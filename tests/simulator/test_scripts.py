"""Scripts: those that ship say what they promise, and a bad one is told what is wrong with it."""

import ast
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import exporter.simulator
from exporter.simulator.reader import load_script, named_scripts, parse_script
from exporter.simulator.table import ScriptError
from exporter.simulator.world import World

from .asking import ONE_PIPELINE, T0, Account


def test_these_scripts_ship():
    assert set(named_scripts()) >= {"calm", "failing", "stuck", "forbidden", "outage", "token", "skew", "large", "demo"}


@pytest.mark.parametrize("name", named_scripts())
def test_every_script_that_ships_lives(name):
    script = load_script(name)
    assert script.about
    world = World(script, seed=3, speed=60, epoch=T0)
    before = len(world.runs)
    world.advance(T0 + timedelta(minutes=10))
    assert before > 20, "a monitor that starts sees history"
    assert len(world.runs) > before


def test_within_a_minute_at_speed_60_the_demo_shows_what_there_is_to_see():
    account = Account("demo", speed=60)
    assert len(account.get("/projects")["results"]) == 3
    account.wait(seconds=60)
    since = {"startedAfter": "2026-03-01T12:00:00Z", "limit": 100}
    seen = {run["status"] for run in account.runs(**since)}
    assert {"RUNNING", "SUCCESS", "FAILED", "FORBIDDEN", "CANCELLED"} <= seen
    assert len(account.runs(**since)) > 30
    hanging = [run for run in account.runs(status="RUNNING") if run["startedAt"] < "2026-03-01T12:00:00Z"]
    assert any("revalue-portfolio" in run["pipelineName"] for run in hanging)
    names = {run["pipelineName"] for run in account.runs(limit=100)}
    assert len(names) >= 10


def test_the_very_large_account_is_very_large():
    world = World(load_script("large"), seed=1, speed=1, epoch=T0)
    assert len(world.pipelines) == 2000
    assert len(world.runs) > 100_000


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("history = 3", "test.toml: history: 3 is not a string"),
        ('history = "3 days"', "test.toml: history: '3 days' is not a duration; write for example \"90s\""),
        ('histori = "3d"', 'test.toml: histori: unknown key; did you mean "history"?'),
        ('history = "-3d"', "test.toml: history: '-3d' is negative"),
        ("[answers]\nwraped_run = true", 'test.toml: answers.wraped_run: unknown key; did you mean "wrapped_run"?'),
        (
            "[answers]\ncancel_finished = 418",
            "test.toml: answers.cancel_finished: 418; choose one of 200, 400, 404, 409",
        ),
        ("[answers]\nfraction_digits = true", "test.toml: answers.fraction_digits: True; choose one of"),
        ("[token]\nexpires = 3", 'test.toml: token.expires: unknown key; did you mean "expires_in"?'),
        ("history = [", "test.toml: not valid TOML"),
    ],
)
def test_a_bad_top_is_told(bad, message):
    with pytest.raises(ScriptError) as caught:
        parse_script(f"{bad}\n{ONE_PIPELINE.replace('history', '# ')}", source="test.toml")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('every = "often"', "test.toml: pipelines[1].every: 'often' is not a duration"),
        ("outcomes = { SUCESS = 1 }", 'test.toml: pipelines[1].outcomes.SUCESS: unknown; did you mean "SUCCESS"?'),
        ("outcomes = { SUCCESS = 0 }", "test.toml: pipelines[1].outcomes: all weights are 0"),
        ('cancel = "obey"', "test.toml: pipelines[1].cancel: 'obey' is unknown; did you mean \"obeys\"?"),
        ("jitter = 2", "test.toml: pipelines[1].jitter: 2 is not between 0 and 1"),
        ("count = 3", "write {n} into it"),
        ('calls = ["a"]', "test.toml: pipelines[1].calls: 'a' is not in the same project and environment"),
        ('calls = ["finance/nightly-load.orch.yaml"]', "calls itself"),
        ('environments = ["staging"]', "test.toml: pipelines[1].environments: 'staging' is unknown"),
        ('[[pipelines]]\nproject = "Finanze"\nname = "x"', "pipelines[2].project: 'Finanze' is unknown; did you mean"),
        ('[[pipelines]]\nproject = "Finance"', "test.toml: pipelines[2].name: is missing"),
        (
            '[[pipelines]]\nproject = "Finance"\nname = "finance/nightly-load.orch.yaml"',
            "test.toml: pipelines[2].name: 'finance/nightly-load.orch.yaml' is there twice in Finance prod",
        ),
        ('[[runs]]\nproject = "Finance"\npipeline = "x"\nat = "1h"', "test.toml: runs[1].pipeline: 'x' is unknown"),
        ('[[changes]]\nproject = "Finance"\nat = "1h"', "test.toml: changes[1].allowed: nothing changes"),
        ('[[faults]]\nkind = "hang"\nfrom = "2m"\nuntil = "1m"', "test.toml: faults[1].until: is not after from"),
    ],
)
def test_a_bad_table_is_told(bad, message):
    with pytest.raises(ScriptError) as caught:
        parse_script(ONE_PIPELINE + bad, source="test.toml")
    assert message in str(caught.value)


def test_a_script_without_projects_is_told():
    with pytest.raises(ScriptError, match="projects: there is none"):
        parse_script("", source="empty.toml")


def test_a_bad_fault_is_told_when_the_world_begins():
    with pytest.raises(ScriptError, match=r"test.toml: faults\[1\].kind: 'gremlins' is unknown"):
        Account(ONE_PIPELINE + '[[faults]]\nkind = "gremlins"\n')


def test_a_script_can_be_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(ONE_PIPELINE)
    assert load_script(path).name == "mine"
    with pytest.raises(ScriptError, match="nowhere"):
        load_script(tmp_path / "nowhere.toml")


def test_the_simulator_imports_nothing_else_of_the_package():
    allowed = set(sys.stdlib_module_names) | {"starlette", "tomli", "uvicorn"}
    for path in Path(exporter.simulator.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.startswith("exporter.simulator") or name.split(".")[0] in allowed, f"{path.name}: {name}"
