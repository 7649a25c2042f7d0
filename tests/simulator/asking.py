"""An account to ask: the simulator in this process, with a clock that the test moves by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from exporter.simulator.reader import parse_script
from exporter.simulator.server import create_app

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGN_IN = {
    "grant_type": "client_credentials",
    "client_id": "demo",
    "client_secret": "demo",
    "audience": "https://api.matillion.com",
}
ONE_PIPELINE = """
history = "0s"
[[projects]]
name = "Finance"
environments = ["prod", "test"]
[[pipelines]]
project = "Finance"
name = "finance/nightly-load.orch.yaml"
duration = "10m"
spread = 0
"""


class Account:
    """Asks an app in this process; `wait` moves its clock, and signs in again, for tokens die."""

    def __init__(self, script: str, *, speed: float = 1, seed: int = 1, at: datetime = T0) -> None:
        self.at = at
        text = parse_script(script, source="test.toml") if "\n" in script else script
        self.app = create_app(text, seed=seed, speed=speed, clock=lambda: self.at)
        self.wait()

    def wait(self, **duration: float) -> None:
        self.at += timedelta(**duration)
        self.token = self.sign_in().json()["access_token"]

    def sign_in(self, **changes: str) -> httpx.Response:
        return self.ask("POST", "/oauth/dpc/token", data={**SIGN_IN, **changes})

    def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
                return await client.request(method, path, **kwargs)

        return asyncio.run(ask())

    def api(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.ask(method, f"/dpc/v1{path}", headers=headers, **kwargs)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.api("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def control(self, path: str, body: Any = None) -> Any:
        answer = self.ask("GET" if body is None else "POST", f"/control/{path}".rstrip("/"), json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def runs(self, **params: Any) -> list[dict[str, Any]]:
        """Every run, over all pages."""
        runs: list[dict[str, Any]] = []
        page = self.get("/pipeline-executions", **params)
        while True:
            runs += page["results"]
            if not page.get("more"):
                return runs
            page = self.get("/pipeline-executions", **{**params, "paginationToken": page["more"]})

    @property
    def project_id(self) -> str:
        return self.get("/projects")["results"][0]["id"]

    def execute(self, pipeline: str = "finance/nightly-load.orch.yaml", **body: Any) -> httpx.Response:
        body = {"pipelineName": pipeline, "environmentName": "prod", **body}
        return self.api("POST", f"/projects/{self.project_id}/pipeline-executions", json=body)

    def cancel(self, run_id: str, *, force: bool = False) -> httpx.Response:
        body = {"status": "CANCELLED", "forceUpdate": force}
        return self.api("PATCH", f"/projects/{self.project_id}/pipeline-executions/{run_id}", json=body)

    def run(self, run_id: str) -> dict[str, Any]:
        return self.get(f"/projects/{self.project_id}/pipeline-executions/{run_id}")["result"]

    def status(self, run_id: str) -> str:
        return self.get(f"/projects/{self.project_id}/pipeline-executions/{run_id}/status")["status"]
