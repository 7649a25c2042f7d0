"""Writes the dashboards beside it: `.venv/bin/python grafana/dashboards/generate.py`; with `--check` it only compares.

The JSON files are committed, so that nobody needs Python to use them; a test holds that they are what this writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleet import fleet
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from on_call import on_call
from pipeline import pipeline
from the_exporter import exporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from grafana_foundation_sdk.models.dashboard import Dashboard

HERE = Path(__file__).parent
DASHBOARDS: dict[str, Callable[[], Dashboard]] = {
    "on-call.json": on_call,
    "pipeline.json": pipeline,
    "fleet.json": fleet,
    "exporter.json": exporter,
}


def written(name: str) -> str:
    """A dashboard's file, as it has to be."""
    return json.dumps(DASHBOARDS[name](), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write all, or say which differ; the exit code."""
    stale = [name for name in DASHBOARDS if not (HERE / name).exists() or (HERE / name).read_text() != written(name)]
    if arguments == ["--check"]:
        for name in stale:
            print(f"{name} is not what generate.py writes; run it")
        return 1 if stale else 0
    for name in stale:
        (HERE / name).write_text(written(name))
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
