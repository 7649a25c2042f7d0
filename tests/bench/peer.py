"""What people write instead: `python -m bench.peer API PORT`, an exporter that asks the API once a pipeline a scrape.

One list call for each published pipeline, its newest run into prometheus_client's own families, served by
prometheus_client's own server. It keeps nothing, so it counts nothing; a reference, not a straw man: it holds its
connection, asks for one row, and does nothing else.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily

SIGN_IN = {
    "grant_type": "client_credentials",
    "client_id": "demo",
    "client_secret": "demo",
    "audience": "https://api.matillion.com",
}
LABELS = ["project_name", "environment_name", "pipeline_name"]
STATUSES = ("RUNNING", "CANCELLING", "SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN")


def signed_in(api: str) -> httpx.Client:
    """A client of the API with a token."""
    token = httpx.post(f"{api}/oauth/dpc/token", data=SIGN_IN).raise_for_status().json()["access_token"]
    return httpx.Client(base_url=f"{api}/dpc", headers={"Authorization": f"Bearer {token}"}, timeout=30)


class Peer:
    """A collector."""

    def __init__(self, api: str) -> None:
        self._api = signed_in(api)
        self.pipelines = [
            (project, environment["name"], published["name"])
            for project in self._rows("/v1/projects")
            for environment in self._rows(f"/v1/projects/{project['id']}/environments")
            for published in self._rows(
                f"/v1/projects/{project['id']}/published-pipelines", environmentName=environment["name"]
            )
        ]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        status = GaugeMetricFamily("peer_last_run_status", "The newest run's status.", labels=[*LABELS, "status"])
        start = GaugeMetricFamily("peer_last_run_start_timestamp_seconds", "Its start.", labels=LABELS)
        end = GaugeMetricFamily("peer_last_run_end_timestamp_seconds", "Its end.", labels=LABELS)
        for number, (project, environment, pipeline) in enumerate(self.pipelines):
            labels = [project["name"], environment, pipeline]
            run = self.newest(number) or {}
            for word in STATUSES:
                status.add_metric([*labels, word], float(run.get("status") == word))
            for family, key in ((start, "startedAt"), (end, "finishedAt")):
                if run.get(key):
                    family.add_metric(labels, datetime.fromisoformat(run[key]).timestamp())
        return iter((status, start, end))

    def close(self) -> None:
        self._api.close()

    def newest(self, number: int) -> dict[str, Any] | None:
        """The newest run of one pipeline: one call."""
        project, environment, pipeline = self.pipelines[number]
        where = {"projectId": project["id"], "environmentName": environment, "pipelineName": pipeline, "limit": "1"}
        answer = self._api.get("/v1/pipeline-executions", params=where).raise_for_status().json()
        return answer["results"][0] if answer["results"] else None

    def _rows(self, path: str, **params: str) -> Iterator[dict[str, Any]]:
        page = 0
        while rows := self._page(path, page, params):
            yield from rows
            page += 1

    def _page(self, path: str, page: int, params: dict[str, str]) -> list[dict[str, Any]]:
        answer = self._api.get(path, params={**params, "page": str(page), "size": "100"}).raise_for_status().json()
        return answer["results"]


def main(api: str, port: str) -> None:
    registry = CollectorRegistry()
    registry.register(Peer(api))
    start_http_server(int(port), addr="127.0.0.1", registry=registry)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
