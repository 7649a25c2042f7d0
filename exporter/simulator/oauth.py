"""The token endpoint: client credentials in, a bearer token out.

Must not know the API that the tokens are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import JSONResponse
from starlette.routing import Route

from exporter.simulator.simulation import AUDIENCE, CLIENT_ID, CLIENT_SECRET, Simulation

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def oauth_routes(simulation: Simulation) -> list[Route]:
    """`POST /oauth/dpc/token`."""

    async def token(request: Request) -> Response:
        content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type != "application/x-www-form-urlencoded":
            return _refusal(400, "invalid_request", "the body must be application/x-www-form-urlencoded")
        body = (await request.body()).decode("utf-8", "replace")
        form = {key: values[-1] for key, values in parse_qs(body, keep_blank_values=True).items()}
        if form.get("grant_type") != "client_credentials":
            return _refusal(400, "unsupported_grant_type", "grant_type must be client_credentials")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _refusal(401, "invalid_client", "unknown client, or wrong secret")
        if form.get("audience") != AUDIENCE:
            return _refusal(403, "access_denied", f"audience must be {AUDIENCE}")
        tokens = simulation.tokens
        answer = {
            "access_token": tokens.issue(simulation.now()),
            "token_type": "Bearer",
            "expires_in": round(tokens.expires_in.total_seconds()),
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return [Route("/oauth/dpc/token", token, methods=["POST"])]


def _refusal(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
