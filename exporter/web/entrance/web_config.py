"""The web config file: from YAML in the exporter-toolkit's format to values, or to everything that is wrong with it.

What the format knows and we cannot honour is an error, never ignored. Must not quote a password's hash or a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from exporter.config.errors import BadValueError, Problem, quoted, suggestion
from exporter.web.entrance.files import Files
from exporter.web.entrance.tls_section import TLS_KEYS, read_tls
from exporter.web.entrance.yaml_tree import Branch, compose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exporter.web.entrance.tls import Tls

HEADERS: dict[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""Response headers that a file can set, each with the values it can have, where these are a closed set."""

_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HASH_HINT = 'make one with htpasswd -nBC 10 "" | tr -d ":\\n"'
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 86_400  # seconds: one request a day is no limit that anybody means


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One request an `interval`, after a `burst` of so many."""

    interval: timedelta
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """What the file asks for."""

    tls: Tls | None = None
    users: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)  # name -> bcrypt hash
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rate_limit: RateLimit | None = None

    @property
    def signs_in(self) -> bool:
        """Whether nobody sees anything but our health without a password, or without a certificate that we trust."""
        return bool(self.users) or (self.tls is not None and self.tls.knows_clients)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a file: a config or problems, and the files that were looked into for it."""

    config: WebConfig
    problems: tuple[Problem, ...]
    files: Files


def read(path: Path) -> Reading:
    """Read a web config file and the files it names; relative paths start at its folder."""
    files, problems = Files(), list[Problem]()
    try:
        node = compose(files.read(path))
    except BadValueError as error:
        return Reading(WebConfig(), (Problem("", "", error.what, error.hint),), files)
    root = Branch(node, known=_SECTIONS, problems=problems)
    http = root.branch("http_server_config", known=("http2", "headers"))
    http.flag("http2", default=True)  # either way: we offer HTTP/1.1, and it is the client who chooses
    config = WebConfig(
        tls=read_tls(root.branch("tls_server_config", known=TLS_KEYS), folder=path.absolute().parent, files=files),
        headers=_headers(http.branch("headers", known=None)),
        users=_users(root.branch("basic_auth_users", known=None)),
        rate_limit=_rate_limit(root.branch("rate_limit", known=("interval", "burst"))),
    )
    return Reading(config, tuple(problems), files)


def _headers(branch: Branch) -> tuple[tuple[bytes, bytes], ...]:
    headers = []
    for name in branch:
        value = branch.text(name)
        if name not in HEADERS:
            branch.problem(name, "is no header that can be set", suggestion(name, HEADERS))
        elif value and HEADERS[name] and value not in HEADERS[name]:
            branch.problem(name, f"{quoted(value)} is not allowed", f"known: {', '.join(HEADERS[name])}")
        elif not value.isascii() or not (value.isprintable()):
            branch.problem(name, "has characters that no header can have", "use printable ASCII, on one line")
        elif value:
            headers.append((name.lower().encode(), value.encode()))
    return tuple(headers)


def _users(branch: Branch) -> dict[bytes, bytes]:
    users = {}
    for name in branch:
        hashed = branch.text(name)
        if not name or ":" in name:
            branch.problem(name, "is no user name: it is empty or has a colon", "choose another one")
        elif not _HASH.fullmatch(hashed):
            branch.problem(name, "is not a bcrypt hash", _HASH_HINT)
        else:
            users[name.encode()] = hashed.encode()
    return users


def _rate_limit(branch: Branch) -> RateLimit | None:
    seconds = _span(branch, "interval")
    burst = branch.text("burst") or "0"
    if not re.fullmatch(r"[0-9]{1,9}", burst):
        branch.problem("burst", f"expected a whole number, not {quoted(burst)}")
        return None
    if not seconds:
        return None
    if burst == "0":
        branch.problem("burst", "is 0, so that every request would be refused", "write how many may come at once")
    return RateLimit(timedelta(seconds=seconds), int(burst))


def _span(branch: Branch, key: str) -> float:
    """A duration as Go writes it, in seconds."""
    text = branch.text(key) or "0"
    if text.strip("0") in ("", "s"):
        return 0.0
    if not re.fullmatch(f"(?:{_SPAN.pattern})+", text):
        branch.problem(key, f"{quoted(text)} is no duration", 'write a number with a unit, such as "1s" or "500ms"')
        return 0.0
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(text))
    if not 1e-6 <= seconds <= _LONGEST:
        branch.problem(key, f"{quoted(text)} is out of range", "a microsecond to a day")
        return 0.0
    return seconds
