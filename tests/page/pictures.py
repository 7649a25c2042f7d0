"""Takes the README's pictures of the page: starts the demo, waits until there is something to see, and looks."""

# ruff: noqa: T201 - it says what it has made

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from e2e.processes import EXPORTER, Process, until
from playwright.sync_api import Page

from .browser import browsing

FOLDER = Path(__file__).parents[2] / "grafana" / "pictures"

PICTURES = {
    "page.png": {"viewport": {"width": 1280, "height": 1040}, "color_scheme": "light"},
    "page-dark.png": {"viewport": {"width": 1280, "height": 1040}, "color_scheme": "dark"},
    "page-phone.png": {"viewport": {"width": 360, "height": 1040}, "color_scheme": "light"},
}

WORTH_A_PICTURE = """() => {
    const bar = document.querySelector("progress");
    return document.querySelectorAll(".endings > .broken").length == 2 && bar && bar.value > 0.6 * bar.max;
}"""


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with demo() as url, browsing() as browser:
        pages = {name: browser.new_context(**screen).new_page() for name, screen in PICTURES.items()}
        for page in pages.values():
            page.goto(url)
        for name, page in pages.items():
            page.bring_to_front()
            page.wait_for_function(WORTH_A_PICTURE, timeout=600_000)
            take(page, FOLDER / name)
    return 0


def take(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Where the page of a demo of its own is."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(EXPORTER, "demo", "--speed", "30", folder=Path(folder), name="demo")
        try:
            yield until(lambda: re.search(r"page +(http\S+)", process.text), timeout=60, what="the demo runs")[1]
        finally:
            process.end()


if __name__ == "__main__":
    sys.exit(main())
