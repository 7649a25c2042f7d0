# ruff: noqa: E501 - a style sheet does not get clearer in pieces
"""Makes the README's pictures of the dashboards: their own queries, asked of a real Prometheus with two hours of the
demo's account in it, drawn by `drawing` (there is no Grafana here), photographed by Debian's Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from e2e.processes import need

from .boards import BOARDS, Panel
from .conftest import backfill, served
from .drawing import COLUMN, LINE, drawn, heading
from .promhttp import Api

FOLDER = Path(__file__).parents[2] / "grafana" / "pictures"
PIPELINE = {"project": "Finance", "environment": "prod", "pipeline": "finance/invoices-import.orch.yaml"}
CHOSEN = {"account": "a"}
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
NOTE = "a likeness, drawn from the answers to this dashboard's queries by scripts/dashboard-pictures, not a screenshot of Grafana"
STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 13px/1.35 Inter, "DejaVu Sans", sans-serif }
header { height: 52px; padding: 10px 12px; box-sizing: border-box; font-size: 17px; font-weight: 500 }
header small { display: block; font-size: 11px; font-weight: normal; color: #8e8ea0 }
main { position: relative; margin: 0 8px }
main > h1 { position: absolute; margin: 8px 4px; font-size: 14px; font-weight: 500 }
section { position: absolute; box-sizing: border-box; background: #181b1f; border: 1px solid #25272c; padding: 6px 11px; overflow: hidden }
h2 { margin: 0 0 6px; font-size: 13px; font-weight: 500; white-space: nowrap }
.big { font-weight: 500; text-align: center; white-space: nowrap }
.nothing { text-align: center; color: #8e8ea0; padding-top: 28px }
svg text { fill: #8e8ea0; font-size: 11px } svg line { stroke: #2c2f36 } svg path { fill: none; stroke-width: 1.5 }
p { margin: 2px 0 0; font-size: 11px; white-space: nowrap; overflow: hidden } em { font-style: normal; margin-right: 14px }
em i { display: inline-block; width: 12px; height: 4px; margin: 0 5px 2px 0 }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 500; color: #6e9fff }
th, td { padding: 4px 8px; border-bottom: 1px solid #25272c; white-space: nowrap; font-size: 12.5px }
.gauge i { display: inline-block; height: 12px; vertical-align: -2px; margin-right: 8px } b { font-weight: 500 }
.bar { display: flex; align-items: center; margin-bottom: 4px; font-size: 12px } .bar i { height: 100%; margin-right: 8px; flex: none }
.bar span { width: 44%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; flex: none }
"""


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        backfill(need("promtool"), Path(folder))
        with served(Path(folder)) as api:
            for board in BOARDS:
                take(page(api, board), FOLDER / f"dashboard-{board}.png", Path(folder))
    return 0


def page(api: Api, board: str) -> tuple[str, int]:
    """A dashboard as HTML, and how high it is."""
    panels = BOARDS[board]["panels"]
    chosen = {**CHOSEN, **(PIPELINE if board == "pipeline" else {})}
    inside = "".join(
        heading(each) if each["type"] == "row" else drawn(api, Panel(board, each), **chosen) for each in panels
    )
    height = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels) * LINE + 60
    said = " · ".join(f"{name} {value}" for name, value in chosen.items())
    title = f"<header>{escape(BOARDS[board]['title'])}<small>{escape(said)} — {escape(NOTE)}</small></header>"
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{title}<main>{inside}</main>", height


def take(page: tuple[str, int], path: Path, folder: Path) -> None:
    """A picture of some HTML."""
    text, height = page
    source = folder / "page.html"
    source.write_text(text)
    done = subprocess.run(
        [
            need("chromium"),
            *CHROMIUM,
            f"--user-data-dir={folder / 'chromium'}",
            f"--window-size={24 * COLUMN + 8},{height}",
            f"--screenshot={path}",
            source.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")  # noqa: T201 - it is a script


if __name__ == "__main__":
    sys.exit(main())
