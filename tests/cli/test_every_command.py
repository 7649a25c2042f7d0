"""What all commands have in common."""

import signal
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from e2e.processes import EXPORTER

from exporter.cli.main import commands


def leaves(group, *above):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, *above, name)
        else:
            yield (*above, name)


@pytest.mark.parametrize("words", list(leaves(commands)), ids=" ".join)
def test_every_command_has_an_example_and_the_options_of_the_log(words):
    shown = CliRunner().invoke(commands, [*words, "--help"]).output

    assert "Example" in shown
    assert f"maia-exporter {' '.join(words)}" in shown.partition("Example")[2]
    assert "--log-level [debug|info|warning|error]" in shown
    assert "--log-format [text|json]" in shown


def test_a_full_disk_behind_standard_output_is_said_in_words():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([EXPORTER, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "Error: write the output: No space left on device\n"


def test_looking_at_commands_leaves_the_signals_alone():
    for name in commands.list_commands(click.Context(commands)):
        commands.get_command(click.Context(commands), name)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGTERM}
