"""Who may see users, messages and the config on the page: the one place that decides it.

They are shown behind sign-in, when the service listens on a loopback address, and where `[web] open_page` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporter.config.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from exporter.config.sections import WebSettings


def revealing(web: WebSettings) -> Callable[[Scope], bool]:
    """Whether the sender of a request may see them: the seam for sign-in, which lets everybody it has let in.

    On a loopback address a web page elsewhere could still have a browser on this machine ask for it, under a name of
    its own that leads here; so there a request must also call us by a name of this machine, or by `external_url`.
    """
    if web.open_page:
        return lambda _: True
    if not is_loopback(web.listen_host):
        return lambda _: False
    ours = urlsplit(web.external_url).hostname
    return lambda scope: (host := _host(scope)) is not None and (is_loopback(host) or host == ours)


def _host(scope: Scope) -> str | None:
    """What a request calls us, without the port."""
    host: bytes = dict(scope["headers"]).get(b"host", b"")
    try:
        return urlsplit("//" + host.decode("latin-1")).hostname
    except ValueError:
        return None
