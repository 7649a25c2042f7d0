"""Turns a `Status` into HTML, and holds the files that go with it. Everything is escaped by default.

Must not decide what is shown to whom: what is not to be seen is not in the status.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from exporter.web.page import drawing
from exporter.web.page.pipelines import Health
from exporter.web.page.wanted import STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template

    from exporter.web.page.pipelines import Rows
    from exporter.web.page.status import Status
    from exporter.web.page.wanted import Wanted

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: nothing but our own files, and requests to nobody else."""

ROWS_SHOWN = 2_000
"""Pipelines on one page: browsers get slow beyond, and people do not read them."""

FIRST_SHOWN = 8
"""Broken pipelines, and unfinished runs, that are to be seen at once; the others fold."""

RUNS_SHOWN = 50
"""Unfinished runs on one page."""

_ASKED_EVERY = (2.0, 10.0)  # seconds, least and most, between two questions of an open page


@dataclass(frozen=True, slots=True)
class File:
    """A file that goes with the page. Its URL carries its version, so that it may be kept for ever."""

    name: str
    media_type: str
    body: bytes

    @property
    def version(self) -> str:
        """Another one for another content."""
        return hashlib.sha256(self.body).hexdigest()[:12]


_MEDIA_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


@cache
def page_files() -> Mapping[str, File]:
    """All of them, by name."""
    folder = files("exporter") / "templates"
    return {name: File(name, kind, (folder / name).read_bytes()) for name, kind in _MEDIA_TYPES.items()}


class Printer:
    """Prints pages for people who reach us below the path `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def html(self, status: Status, rows: Rows, wanted: Wanted, *, etag: str) -> bytes:
        """The page."""
        everything = rows.by_pipeline.values()
        text = self._template.render(
            status=status,
            now=status.now,
            ago=partial(drawing.ago, now=status.now),
            lasting=partial(drawing.lasting, now=status.now),
            wanted=wanted,
            etag=etag,
            prefix=self._prefix,
            files={file.name: f"{self._prefix}/{file.name}?v={file.version}" for file in page_files().values()},
            rows=status.pipeline_rows[:ROWS_SHOWN],
            first_shown=FIRST_SHOWN,
            runs_shown=RUNS_SHOWN,
            broken_here=sum(row.health is Health.BROKEN for row in status.pipeline_rows),
            projects=sorted({row.project_name for row in everything}),
            environments=sorted({row.environment_name for row in everything}),
            statuses={word: said for word, (said, _) in STATUSES.items()},
            every=min(max(status.poll_interval_seconds, _ASKED_EVERY[0]), _ASKED_EVERY[1]),
            old=status.data_age_seconds is None or status.data_age_seconds > _old_after(status.poll_interval_seconds),
            config=None if status.config is None else list(_lines(status.config)),
        )
        return text.encode("utf-8", "replace")

    @cached_property
    def _template(self) -> Template:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # costs a tenth of a second: at the first page

        environment = Environment(
            loader=PackageLoader("exporter"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(drawing.FILTERS)
        return environment.get_template("page.html")


def _old_after(interval: float) -> float:
    """How old data may be before people are told: some polls, or a poll that takes its time."""
    return max(5 * interval, 60.0)


def _lines(config: Mapping[str, Any]) -> list[str]:
    """The config as TOML would say it, a line a key; tables and lists of tables with their heads."""
    lines: list[str] = []
    for table, values in config.items():
        many = isinstance(values, list)
        for each in values if many else [values]:
            lines.append(f"[[{table}]]" if many else f"[{table}]")
            lines += [f"{key} = {_literal(value)}" for key, value in each.items() if value is not None]
            lines.append("")
    return lines


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return (
        str(value)
        if isinstance(value, int | float)
        else '"{}"'.format(str(value).replace("\\", "\\\\").replace('"', '\\"'))
    )
