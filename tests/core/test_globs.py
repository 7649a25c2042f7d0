"""Which names a pattern matches."""

import pytest

from exporter.core.globs import (
    Scope,
    is_everything,
    is_literal,
    matches_name,
    matches_pipeline,
    matches_project,
    pipeline_file,
    without_extension,
)

NAMES = [
    ("prod*", "prod", True, "* may be empty"),
    ("prod*", "production", True, "* is any text"),
    ("prod*", "Production", False, "case counts"),
    ("prod*", "my-prod", False, "a pattern is held against the whole name"),
    ("prod-?", "prod-1", True, "? is one character"),
    ("prod-?", "prod-12", False, "only one"),
    ("prod-[12]", "prod-2", True, "[…] is one of these"),
    ("prod-[!12]", "prod-2", False, "[!…] is none of these"),
    ("prod-[a-c]", "prod-b", True, "a range"),
    ("prod[", "prod[", True, "a bracket that does not close is a bracket"),
    ("a.c", "abc", False, "a dot is a dot"),
    ("*", "a/b\nc", True, "* takes everything"),
    ("*", "", True, "also nothing"),
]


@pytest.mark.parametrize(("pattern", "name", "expected", "reason"), NAMES)
def test_a_name_is_held_against_the_pattern(pattern, name, expected, reason):
    assert matches_name((pattern,), name) is expected, reason


def test_one_of_several_patterns_is_enough_and_none_is_not():
    assert matches_name(("test", "prod"), "prod")
    assert not matches_name((), "prod")


def test_a_project_matches_by_its_name_or_its_id():
    assert matches_project(("Finance",), name="Finance", project_id="5e1f")
    assert matches_project(("5e*",), name="Finance", project_id="5e1f")
    assert not matches_project(("Sales",), name="Finance", project_id="5e1f")


PIPELINES = [
    ("nightly-*", "finance/nightly-load.orch.yaml", True, "the last part counts"),
    ("nightly-load", "finance/nightly-load.orch.yaml", True, "without its extension"),
    ("nightly-load.orch.yaml", "finance/nightly-load.orch.yaml", True, "or with it"),
    ("nightly-load.orch", "finance/nightly-load.orch.yaml", False, "the extension is .orch.yaml, not .yaml"),
    ("load", "a/load.tran.yaml", True, ".tran.yaml"),
    ("load", "a/load.yaml", True, ".yaml"),
    ("load", "a/load.yml", True, ".yml"),
    ("load", "a/load.sql", False, "no extension of a pipeline"),
    ("load", "load", True, "no folder, no extension"),
    ("load", "reload", False, "the whole part"),
    ("finance/*", "finance/deep/load.orch.yaml", True, "* crosses /"),
    ("finance/load", "finance/load.orch.yaml", False, "with a / the whole path counts, extension included"),
    ("finance/load*", "other/finance/load.orch.yaml", False, "from its beginning"),
    ("load[!/]*", "finance/load-a.yaml", False, "also where the / stands in brackets"),
    ("*/load.orch.yaml", "finance/load.orch.yaml", True, "any folder"),
    ("fin*load.orch.yaml", "finance/load.orch.yaml", True, "one without / is held against the path as well"),
    ("Load", "a/load.yaml", False, "case counts"),
]


@pytest.mark.parametrize(("pattern", "name", "expected", "reason"), PIPELINES)
def test_a_pipeline_matches_by_path_or_by_file(pattern, name, expected, reason):
    assert matches_pipeline((pattern,), name) is expected, reason


def test_patterns_with_and_without_a_folder_stand_side_by_side():
    patterns = ("finance/*", "nightly-*")
    assert matches_pipeline(patterns, "finance/a.yaml")
    assert matches_pipeline(patterns, "sales/nightly-b.yaml")
    assert not matches_pipeline(patterns, "sales/b.yaml")
    assert not matches_pipeline((), "sales/b.yaml")


SCOPE = Scope(projects=("Finance",), environments=("prod",), pipelines=("load*",), exclude_pipelines=("*-test",))
CONTAINED = [
    ("a/load.yaml", "prod", "Finance", "", True, "all match"),
    ("a/load.yaml", "dev", "Finance", "", False, "another environment"),
    ("a/load.yaml", "prod", "Sales", "", False, "another project"),
    ("a/load.yaml", "prod", "Sales", "Finance", True, "the project by its id"),
    ("a/save.yaml", "prod", "Finance", "", False, "another pipeline"),
    ("a/load-test.yaml", "prod", "Finance", "", False, "an excluded pipeline"),
]


@pytest.mark.parametrize(("pipeline", "environment", "project", "project_id", "expected", "reason"), CONTAINED)
def test_a_scope_needs_all_matchers_and_no_exclusion(pipeline, environment, project, project_id, expected, reason):
    found = SCOPE.contains(pipeline, environment=environment, project=project, project_id=project_id)
    assert found is expected, reason


def test_a_scope_without_matchers_contains_everything():
    assert Scope().contains("a/b.yaml", environment="", project="", project_id="")


def test_literals_and_patterns_for_everything_are_told_apart():
    assert [p for p in ("prod", "prod*", "prod?", "[p]rod") if is_literal(p)] == ["prod"]
    assert [p for p in ("*", "**", "*a", "?", "") if is_everything(p)] == ["*", "**"]


def test_a_pipelines_file_and_its_name_without_extension():
    assert pipeline_file("finance/nightly.orch.yaml") == "nightly.orch.yaml"
    assert pipeline_file("nightly") == "nightly"
    assert without_extension("finance/nightly.orch.yaml") == "finance/nightly"
    assert without_extension("finance/nightly.sql") == "finance/nightly.sql"
