"""Steps 1 to 3 of the guide: projects, environments, published pipelines."""

import json

import pytest

pytestmark = pytest.mark.e2e

MANY = """
history = "0s"
[[projects]]
name = "Big"
[[pipelines]]
project = "Big"
name = "big/load-{n}.orch.yaml"
count = 250
"""
TWINS = """
history = "0s"
[[projects]]
key = "one"
name = "Twin"
[[projects]]
key = "two"
name = "Twin"
environments = ["second"]
"""
HOSTILE = """
history = "0s"
[[projects]]
name = "[red]Fin\\u001b[2Jance[/red] \\u202egnp.exe"
description = "line\\nbreak\\u009b31m"
"""


def lines(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_projects_come_as_a_table_as_names_and_as_the_apis_own_objects(maia):
    table = lines(maia("projects"))
    assert table[0].split() == ["NAME", "ID", "DESCRIPTION"]
    assert table[2].split(maxsplit=2) == ["Finance", maia.project_id("Finance"), "Ledger, invoices"]
    assert lines(maia("projects", "--plain")) == ["Payroll", "Finance", "Marketing"]
    finance = maia.json("projects")[1]
    assert finance == {"id": maia.project_id("Finance"), "name": "Finance", "description": "Ledger, invoices"}


def test_environments_come_with_their_default_runner(maia):
    table = lines(maia("environments", "Finance"))
    assert table[0].split() == ["NAME", "DEFAULT", "RUNNER", "RUNNER", "ID"]
    runner_id = maia.json("environments", "Finance")[0]["defaultAgentId"]
    assert [line.split() for line in table[1:]] == [["prod", "runner-1", runner_id], ["test", "runner-1", runner_id]]
    assert lines(maia("environments", "Finance", "--plain")) == ["prod", "test"]
    assert [each["defaultAgentName"] for each in maia.json("environments", "Finance")] == ["runner-1"] * 2


def test_an_environment_without_a_runner_has_none(maia):
    assert lines(maia("environments", "Marketing")) == ["NAME  DEFAULT RUNNER  RUNNER ID", "prod"]
    assert maia.json("environments", "Marketing") == [{"name": "prod"}]


def test_a_project_is_taken_by_its_id_as_well(maia):
    by_name = lines(maia("environments", "Finance"))
    assert lines(maia("environments", maia.project_id("Finance").upper())) == by_name


def test_pipelines_are_those_published_to_the_environment_with_the_instant(maia):
    table = lines(maia("pipelines", "Finance", "-e", "test"))
    assert table[0].split() == ["NAME", "PUBLISHED"]
    name, day, time = table[1].split()
    assert (name, time[-1], len(table)) == ("finance/quick.orch.yaml", "Z", 2)
    (record,) = maia.json("pipelines", "Finance", "-e", "test")
    assert record == {"name": name, "publishedTime": f"{day}T{time}"}


def test_all_pages_are_read(accounts):
    maia = accounts(MANY)
    names = lines(maia("pipelines", "Big", "-e", "prod", "--plain"))
    assert names == [f"big/load-{n}.orch.yaml" for n in range(1, 251)]
    assert len(maia.requests(path="published-pipelines")) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["environments", "finanse"], 'there is no project "finanse"; nearest: Finance, '),
        (["environments", "finance"], 'there is no project "finance"; nearest: Finance, '),  # names are exact
        (["pipelines", "Finance", "-e", "prd"], 'there is no environment "prd" in Finance; nearest: prod, test'),
        (["environments", "00000000-0000-4000-8000-000000000000"], "there is no project"),
    ],
)
def test_an_unknown_name_brings_the_nearest_that_exist(maia, words, said):
    done = maia(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_projects_of_one_name_must_be_told_apart_by_id(accounts):
    maia = accounts(TWINS)
    ids = [each["id"] for each in maia.json("projects")]
    done = maia("environments", "Twin")
    assert done.returncode == 1
    assert f'2 projects are called "Twin"; use an id: {ids[0]}, {ids[1]}' in done.stderr
    assert lines(maia("environments", ids[1], "--plain")) == ["second"]


def test_a_list_without_anything_says_so_beside_an_empty_result(accounts):
    maia = accounts('history = "0s"\n[[projects]]\nname = "Empty"\n')
    done = maia("pipelines", "Empty", "-e", "prod", "--plain")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing is published to prod in Empty\n"
    assert maia.json("pipelines", "Empty", "-e", "prod") == []


@pytest.mark.parametrize("form", [[], ["--plain"], ["--json"]])
def test_what_the_api_says_is_inert_in_a_terminal_in_every_form(accounts, form):
    maia = accounts(HOSTILE)
    code, screen = maia.terminal("projects", *form).ended()
    assert code == 0
    assert "[red]Fin" in screen, "markup is shown, not obeyed"
    assert [bad for bad in ("\x1b[2J", "\x9b", "\u202e") if bad in screen] == []
    if form == ["--json"]:
        (record,) = json.loads(screen)
        assert record["name"] == "[red]Fin\x1b[2Jance[/red] \u202egnp.exe", "escaped, not lost"
    if form == ["--plain"]:
        assert len(screen.splitlines()) == 1


def test_a_record_that_cannot_be_read_is_told_and_the_others_are_shown(maia):
    maia.control("faults", {"kind": "malformed", "form": "no_id", "path": "/dpc/v1/projects"})
    done = maia("projects", "--plain")
    assert (done.returncode, done.stdout.split()) == (0, ["Finance", "Marketing"])
    assert "1 could not be read and left out; the first: results[0].id: absent" in done.stderr


def test_a_reader_that_leaves_early_is_no_traceback(accounts):
    maia = accounts(MANY)
    going = maia.start("pipelines", "Big", "-e", "prod", "--plain")
    going.process.stdout.close()
    going.process.stdout = None
    _, _, errors = going.ended()
    assert errors == ""
