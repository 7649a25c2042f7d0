"""The dashboards as they are committed: panels, queries with their variables filled in, links."""

import json
import re
from dataclasses import dataclass

from .queries import GRAFANA

FOLDER = GRAFANA / "dashboards"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@dataclass(frozen=True)
class Panel:
    """A panel and where it stands."""

    board: str
    json: dict

    def __str__(self) -> str:
        return f"{self.board}: {self.json['title']}"

    @property
    def queries(self) -> list[str]:
        return [target["expr"] for target in self.json["targets"]]


def panels(board: str | None = None) -> list[Panel]:
    """All panels of one dashboard or of all, without headings."""
    return [
        Panel(name, panel)
        for name in ([board] if board else BOARDS)
        for panel in BOARDS[name]["panels"]
        if panel["type"] != "row"
    ]


def panel(board: str, title: str) -> Panel:
    """One panel by its title."""
    (found,) = (each for each in panels(board) if each.json["title"] == title)
    return found


ANYTHING = {"account": ".*", "project": ".*", "environment": ".*", "pipeline": ".*"}
TIMES = {"__range": "120m", "__interval": "5m", "__rate_interval": "6m"}


def filled(query: str, **chosen: str) -> str:
    """A query as Grafana sends it, with everything chosen unless said otherwise."""
    values = {**ANYTHING, **TIMES, **chosen}
    return re.sub(r"\$(\w+)", lambda match: values[match.group(1)], query)


def variables_in(text: str) -> set[str]:
    """Names of the variables that a text uses; Grafana's own ones left out."""
    names = re.findall(r"\$(\w+)|\$\{(\w+)[:}]", text)
    return {name for pair in names for name in pair if name and not name.startswith("__")}


def variables(board: str) -> dict[str, dict]:
    """The variables of a dashboard by name."""
    return {each["name"]: each for each in BOARDS[board]["templating"]["list"]}
