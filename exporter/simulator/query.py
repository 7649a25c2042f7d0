"""Reads what a request asks for: query parameters, page tokens, bodies. ProblemError 400 names every bad field at once.

Must not know what the answer is.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from exporter.simulator.problems import ProblemError
from exporter.simulator.times import parse_instant

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request

STATUSES = ("RUNNING", "CANCELLING", "SUCCESS", "FAILED", "CANCELLED", "SKIPPED", "FORBIDDEN", "UNKNOWN")
_MOST = 100


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list of executions is asked for; `fingerprint` is the same for the same filters."""

    statuses: tuple[str, ...]
    project_id: str
    environment_name: str
    pipeline_name: str
    schedule_id: str
    started_after: datetime | None
    started_before: datetime | None
    limit: int
    token: str
    fingerprint: str


def read_list_query(params: QueryParams, *, status_values: str) -> ListQuery:
    """The query of list-executions; `status_values` says what becomes of a second status."""
    wrong: list[tuple[str, str]] = []
    statuses = list(dict.fromkeys(params.getlist("status")))
    wrong += [("status", f"unknown value {value!r}") for value in statuses if value not in STATUSES]
    if len(statuses) > 1 and status_values == "refuse":
        wrong.append(("status", "must be a single value"))
    elif statuses and status_values in ("first", "last"):
        statuses = [statuses[0 if status_values == "first" else -1]]
    if "timeFrame" in params:
        wrong.append(("timeFrame", "not simulated; use startedAfter and startedBefore"))
    times = {name: _instant(params.get(name), name, wrong) for name in ("startedAfter", "startedBefore")}
    limit = min(_MOST, _whole(params.get("limit", "25"), "limit", 1, wrong))
    if wrong:
        raise ProblemError(400, "The request is not valid.", violations=tuple(wrong))
    filters = sorted((key, value) for key, value in params.multi_items() if key not in ("paginationToken", "limit"))
    return ListQuery(
        statuses=tuple(statuses),
        project_id=params.get("projectId", ""),
        environment_name=params.get("environmentName", ""),
        pipeline_name=params.get("pipelineName", ""),
        schedule_id=params.get("scheduleId", ""),
        started_after=times["startedAfter"],
        started_before=times["startedBefore"],
        limit=limit,
        token=params.get("paginationToken", ""),
        fingerprint=hashlib.blake2b(json.dumps(filters).encode(), digest_size=6).hexdigest(),
    )


def read_page(params: QueryParams) -> tuple[int, int]:
    """Page and size of a page-wise list."""
    wrong: list[tuple[str, str]] = []
    page = _whole(params.get("page", "0"), "page", 0, wrong)
    size = min(_MOST, _whole(params.get("size", "25"), "size", 1, wrong))
    if wrong:
        raise ProblemError(400, "The request is not valid.", violations=tuple(wrong))
    return page, size


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise ProblemError(400, f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ProblemError(400, "The body must be a JSON object.")
    return body


def make_token(fingerprint: str, place: list[Any]) -> str:
    """An opaque token for a place in the list with these filters."""
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *place]).encode()).decode().rstrip("=")


def read_token(token: str, fingerprint: str) -> list[Any]:
    """The place in a token that was made for the same filters; ProblemError 400 otherwise."""
    try:
        made_for, *place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError) as error:
        raise _bad_token("not a token of this list") from error
    if made_for != fingerprint:
        raise _bad_token("the other filters must stay as they were")
    return list(place)


def check_kinds(body: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]) -> None:
    """ProblemError 400 unless the required fields are there, and all known ones are of the right kind."""
    wrong = [(name, "is required") for name in required if body.get(name) is None]
    for name, kind in {**required, **optional}.items():
        if body.get(name) is not None and not isinstance(body[name], kind):
            wrong.append((name, f"must be a {kind.__name__}"))
    if wrong:
        raise ProblemError(400, "The request is not valid.", violations=tuple(wrong))


def _bad_token(reason: str) -> ProblemError:
    return ProblemError(400, "The request is not valid.", violations=(("paginationToken", reason),))


def _instant(text: str | None, name: str, wrong: list[tuple[str, str]]) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        wrong.append((name, f"{text!r} is not an instant such as 2026-01-31T12:00:00Z"))
        return None


def _whole(text: str, name: str, least: int, wrong: list[tuple[str, str]]) -> int:
    if text.isascii() and text.isdigit() and int(text) >= least:
        return int(text)
    wrong.append((name, f"{text!r} is not a whole number from {least} up"))
    return least
