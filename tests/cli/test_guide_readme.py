"""README, *The guide, step by step*: its commands, run in its order, print what it shows."""

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

README = Path(__file__).parents[2] / "README.md"
HEADING = "## The guide, step by step\n"
SPEED = 30

CHANGING = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "ID",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ": "INSTANT",
    r"\b\d+ (d|h|min|s)\b( \d+ (h|min|s)\b)?": "DURATION",
    r"step [\w ]+: CANCELLED": "step STEP: CANCELLED",
    r" +": " ",  # columns are as wide as what they hold
}
"""What differs from one account and moment to the next."""

LOOKS = re.compile(r"(RUNNING|CANCELLING) for DURATION(, at [\w ]+)?")
"""How many looks there are, and what they meet, is a matter of milliseconds."""


def section():
    text = README.read_text()
    assert HEADING in text
    return text.split(HEADING)[1].split("\n## ")[0]


def shown():
    """(command, what it prints) of every console block."""
    for block in re.findall(r"```console\n(.*?)```", section(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def comparable(output):
    for pattern, word in CHANGING.items():
        output = re.sub(pattern, word, output)
    lines = [line.rstrip() for line in output.splitlines()]
    return [line for line in lines if not LOOKS.fullmatch(line)]


def printed(maia, commands):
    """What each command prints in one shell, so that a variable that one sets is there for the next."""
    script = "".join(f"{{ {command}\n}} >{number}.out 2>&1 </dev/null\n" for number, command in enumerate(commands))
    subprocess.run(["bash", "-c", script], env=maia.env, cwd=maia.folder, timeout=120)
    return [(maia.folder / f"{number}.out").read_text() for number, _ in enumerate(commands)]


def test_the_guide_in_the_readme_prints_what_it_shows(accounts):
    maia = accounts("demo", speed=SPEED)
    commands, outputs = zip(*shown(), strict=True)
    assert f"simulate --speed {SPEED}`" in section()
    found = printed(maia, commands)
    for command, output, real in zip(commands, outputs, found, strict=True):
        assert comparable(real) == comparable(output), command


def test_the_guide_in_the_readme_has_every_step():
    names = ("projects", "environments", "pipelines", "execute", "status", "steps", "executions", "cancel")
    commands = " ".join(command for command, _ in shown())
    assert [name for name in names if f"maia-exporter {name}" not in commands] == []
