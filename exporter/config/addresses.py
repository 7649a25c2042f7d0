"""Addresses: URLs of the API, links for people, the store's URL, and where we listen.

Must not connect to or resolve anything, nor quote a URL that may carry a secret.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from exporter.config.errors import MASK, BadValueError, quoted
from exporter.config.values import text

if TYPE_CHECKING:
    from pathlib import Path

RUN_ID = "{run_id}"
"""What stands in `run_url` for the run's id."""

_SQLITE = "sqlite:///"
_POSTGRESQL = "postgresql+psycopg://"
_STORE_HINT = 'write "sqlite:///maia-exporter.db" or "postgresql+psycopg://user:password@host/database"'
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):(?P<password>.*)@")
_PASSWORD_IN_QUERY = re.compile(r"(?<=[?&])([^=&]*pass[^=&]*)=(?P<password>[^&]*)", re.IGNORECASE)
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_HIGHEST_PORT = 65_535


def api_address(value: object) -> str:
    """Take a URL that credentials are sent to: https, or http to this machine; "" where it was left out."""
    if not text(value):
        return ""
    url = _http(text(value))
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise BadValueError(
            f"{quoted(url.geturl())} is not encrypted", "write https://; http is for loopback addresses only"
        )
    return url.geturl().rstrip("/")


def page_address(value: object) -> str:
    """Take the URL that people reach us at, without a slash at its end, or ""."""
    return _http(text(value)).geturl().rstrip("/") if text(value) else ""


def run_link(value: object) -> str:
    """Take a link's pattern, which has `{run_id}` and no other placeholder."""
    pattern = text(value)
    rest = pattern.replace(RUN_ID, "")
    if rest == pattern:
        raise BadValueError(f"{quoted(pattern)} has no {RUN_ID}", f"write {RUN_ID} where the run's id belongs")
    if "{" in rest or "}" in rest:
        raise BadValueError(f"{quoted(pattern)} has another placeholder", f"{RUN_ID} is the only one")
    _http(pattern, query_allowed=True)
    return pattern


def heartbeat_address(value: str) -> str:
    """Take the secret URL of a dead man's switch, or ""; no message quotes it."""
    try:
        url = urlsplit(value)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and not _BLANK.search(value)
    except ValueError:
        sound = False
    if value and not sound:
        raise BadValueError("is not an http:// or https:// URL")
    return value


def store_address(value: str, folder: Path | None) -> str:
    """Take the store's SQLAlchemy URL; a relative SQLite path starts at `folder`. No message quotes it."""
    if value.startswith(_POSTGRESQL):
        if value.partition("?")[0].count("@") > 1:
            raise BadValueError("has more than one @", "write an @ inside a password as %40")
        return value
    if not value.startswith(_SQLITE):
        raise BadValueError("is neither SQLite nor PostgreSQL", _STORE_HINT)
    path, question_mark, query = value.removeprefix(_SQLITE).partition("?")
    if path in ("", ":memory:") or path.startswith("file:"):
        raise BadValueError("names no file", 'the record must outlive the process: write "sqlite:///maia-exporter.db"')
    if folder is not None:
        path = str(folder / path)
    return f"{_SQLITE}{path}{question_mark}{query}"


def masked_store_address(value: str) -> str:
    """Show the store's URL with its password masked."""
    return _PASSWORD_IN_QUERY.sub(rf"\1={MASK}", _PASSWORD.sub(rf"\1:{MASK}@", value))


def store_passwords(value: str) -> set[str]:
    """What the mask covers in the store's URL, as it is written and as it is sent."""
    written = [match["password"] for shape in (_PASSWORD, _PASSWORD_IN_QUERY) for match in shape.finditer(value)]
    return {spelt for password in written for spelt in (password, unquote(password)) if spelt}


def listen_address(value: object) -> tuple[str, int]:
    """Split `host:port`; an IPv6 address stands in brackets. Port 0 lets the system choose."""
    address = text(value)
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _HIGHEST_PORT or not _is_host(host):
        raise BadValueError(f"{quoted(address)} is not host:port", 'write "0.0.0.0:9986", or "[::]:9986" for IPv6')
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its text alone: 127.0.0.0/8, ::1 or localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    return _HOST_NAME.fullmatch(host) is not None


def _http(value: str, *, query_allowed: bool = False) -> SplitResult:
    """Split an absolute http or https URL without credentials."""
    try:
        url = urlsplit(value)
        port_is_sound = url.port != 0
    except ValueError:
        raise BadValueError(f"{quoted(value)} is not a URL") from None
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_sound or _BLANK.search(value):
        raise BadValueError(f"{quoted(value)} is not a URL", "write it whole, from https:// on")
    if "@" in url.netloc:
        raise BadValueError("has credentials in it", "remove what stands before the @")
    if not query_allowed and (url.query or url.fragment):
        raise BadValueError(f"{quoted(value)} has a ? or # part", "leave that off")
    return url
