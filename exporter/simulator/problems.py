"""Refusals: raised anywhere below a request, spelt once as a problem object or, by a setting, as HTML.

Must not decide when to refuse.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response


class ProblemError(Exception):
    """An answer that is no success; `violations` are pairs of field and message."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        violations: tuple[tuple[str, str], ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.violations, self.headers = status, detail, violations, headers


def problem_response(problem: ProblemError, *, instance: str, html: bool) -> Response:
    """The answer for a refusal."""
    title = HTTPStatus(problem.status).phrase
    if html:
        return html_response(problem.status, title, headers=problem.headers)
    body: dict[str, Any] = {
        "status": problem.status,
        "title": title,
        "detail": problem.detail,
        "instance": instance,
        "type": "about:blank",
    }
    if problem.violations:
        body["violations"] = [{"field": name, "message": message} for name, message in problem.violations]
    return JSONResponse(body, problem.status, problem.headers, "application/problem+json")


def html_response(status: int, title: str, *, headers: dict[str, str] | None = None) -> Response:
    """What a proxy in front answers."""
    head, body = f"<title>{status} {title}</title>", f"<center><h1>{status} {title}</h1></center>"
    page = f"<html><head>{head}</head><body>{body}</body></html>\n"
    return Response(page, status, headers, "text/html")
