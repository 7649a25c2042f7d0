"""What users rely on is documented: every metric, command, config table and key."""

from pathlib import Path

import pytest

from exporter.cli.main import commands
from exporter.config.load import TABLES
from exporter.metrics.catalogue import METRICS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLE = (ROOT / "config.toml").read_text()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_in_the_readme_with_its_help(metric):
    assert f"| `{metric.name}` | {metric.kind.value} |" in README
    assert metric.help in README


@pytest.mark.parametrize("name", commands.list_commands(None))
def test_every_command_is_in_the_readme_and_helps(name):
    assert f"`{name}" in README

    command = commands.get_command(None, name)

    assert command.help
    assert all(option.help for option in command.params if option.param_type_name == "option"), name


@pytest.mark.parametrize("table", TABLES)
def test_every_config_table_is_in_the_example(table):
    assert f"[{table}]" in EXAMPLE
