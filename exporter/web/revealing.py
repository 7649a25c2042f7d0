"""Who may see users, messages and the config on the page: the one place that decides it.

They are shown behind sign-in, when the service listens on a loopback address, and where `[web] open_page` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporter.config.addresses import is_loopback

SIGNED_IN = "exporter.signed_in"
"""A request's scope has this, true, when its sender has given the right password or a certificate that we trust."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from exporter.config.sections import WebSettings


def revealing(web: WebSettings) -> Callable[[Scope], bool]:
    """Whether the sender of a request may see them: whoever has signed in, and on a loopback address whoever is here.

    On a loopback address a web page elsewhere could still have a browser on this machine ask for it, under a name of
    its own that leads here; so there a request must also call us by a name of this machine, or by `external_url`.
    """
    if web.open_page:
        return lambda _: True
    if not is_loopback(web.listen_host):
        return _signed_in
    ours = urlsplit(web.external_url).hostname
    return lambda scope: (
        _signed_in(scope) or ((host := _host(scope)) is not None and (is_loopback(host) or host == ours))
    )


def _signed_in(scope: Scope) -> bool:
    return scope.get(SIGNED_IN) is True


def _host(scope: Scope) -> str | None:
    """What a request calls us, without the port."""
    host: bytes = dict(scope["headers"]).get(b"host", b"")
    try:
        return urlsplit("//" + host.decode("latin-1")).hostname
    except ValueError:
        return None
