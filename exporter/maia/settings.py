"""What the client must be told: addresses, credentials, budget, patience.

Must not read files or the environment: the caller fills it from the config or the command line.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class MaiaSettings:
    """One account's API.

    `request_timeout` (seconds) bounds one request from the first byte sent to the last byte read.
    Raises ValueError for an address that would send the credentials in the clear.
    """

    api_url: str  # with its /dpc, for example https://eu1.api.matillion.com/dpc
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    requests_per_minute: int = 120
    request_timeout: float = 30.0
    version: str = "0"

    def __post_init__(self) -> None:
        for name, url in (("api_url", self.api_url), ("token_url", self.token_url)):
            _require_safe(name, url)
        if self.requests_per_minute < 1:
            raise ValueError("requests_per_minute: must be at least 1")
        if not self.request_timeout > 0:
            raise ValueError("request_timeout: must be above 0 seconds")

    @property
    def user_agent(self) -> str:
        """How we introduce ourselves."""
        return f"maia-exporter/{self.version}"


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, no port) can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_safe(name: str, url: str) -> None:
    # The address itself stays out of the messages: with a password in it, it is a secret.
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises for a port that is not a number
    except ValueError:
        raise ValueError(f"{name}: not a URL; expected https://host/path") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError(f"{name}: not a URL; expected https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name}: must not carry a user name or password; use client_id and client_secret")
    if parts.query or parts.fragment:
        raise ValueError(f"{name}: must not carry a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{name}: plain http only to a loopback address; use https")
