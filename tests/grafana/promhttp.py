"""Prometheus's HTTP interface, as far as tests and pictures ask it; an error is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from datetime import datetime

Rows = list[tuple[dict[str, str], Any]]


class Api:
    """Asks one Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def ready(self) -> bool:
        return self._http.get("/-/ready").status_code == 200

    def close(self) -> None:
        self._http.close()

    def at(self, query: str, moment: datetime) -> Rows:
        """An instant query: labels and value of each series."""
        rows = self._data("query", query=query, time=moment.timestamp())["result"]
        return [(row["metric"], float(row["value"][1])) for row in rows]

    def between(self, query: str, start: datetime, end: datetime, *, step: float) -> Rows:
        """A range query: labels of each series and its values by time."""
        span = {"start": start.timestamp(), "end": end.timestamp(), "step": step}
        rows = self._data("query_range", query=query, **span)["result"]
        return [(row["metric"], {float(at): float(value) for at, value in row["values"]}) for row in rows]

    def _data(self, endpoint: str, **parameters: Any) -> dict[str, Any]:
        answer = self._http.post(f"/api/v1/{endpoint}", data=parameters).json()
        if answer["status"] != "success":
            raise ValueError(f"{answer['error']}: {parameters['query']}")
        data: dict[str, Any] = answer["data"]
        return data
