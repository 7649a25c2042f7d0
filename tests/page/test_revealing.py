"""`product.md`: users, messages and config only behind sign-in, on loopback, or with open_page = true."""

import pytest

from exporter.config.sections import WebSettings
from exporter.web.revealing import SIGNED_IN, revealing

CASES = [
    ({"listen": "0.0.0.0:9986"}, "127.0.0.1:9986", False, "anybody may reach it, whatever they call it"),
    ({"listen": "[::]:9986"}, "localhost:9986", False, "the same on IPv6"),
    ({"listen": "10.0.0.7:9986"}, "10.0.0.7:9986", False, "an address of a network"),
    ({"listen": "0.0.0.0:9986", "open_page": True}, "maia.example.org", True, "somebody has said so"),
    ({"listen": "127.0.0.1:9986"}, "127.0.0.1:9986", True, "this machine only"),
    ({"listen": "127.0.0.1:9986"}, "localhost:9986", True, "by its name"),
    ({"listen": "127.8.0.1:9986"}, "127.8.0.1", True, "all of 127.0.0.0/8"),
    ({"listen": "localhost:9986"}, "LOCALHOST:9986", True, "names have no case"),
    ({"listen": "[::1]:9986"}, "[::1]:9986", True, "loopback of IPv6"),
    ({"listen": "127.0.0.1:9986"}, "evil.example.com:9986", False, "a site that has its name lead to this machine"),
    ({"listen": "127.0.0.1:9986"}, "", False, "no name at all"),
    ({"listen": "127.0.0.1:9986"}, "[::1", False, "no name either"),
    (
        {"listen": "127.0.0.1:9986", "external_url": "https://maia.example.org/x"},
        "maia.example.org",
        True,
        "a proxy on this machine",
    ),
]


@pytest.mark.parametrize(("web", "host", "shown", "reason"), CASES)
def test_who_may_see_users_messages_and_the_config(web, host, shown, reason):
    scope = {"headers": [(b"accept", b"*/*"), (b"host", host.encode())]}
    assert revealing(WebSettings(**web))(scope) is shown, reason


@pytest.mark.parametrize("listen", ["0.0.0.0:9986", "127.0.0.1:9986"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_whoever_has_signed_in_may_see_them(listen, signed_in):
    scope = {"headers": [(b"host", b"maia.example.org")], SIGNED_IN: signed_in}
    assert revealing(WebSettings(listen=listen))(scope) is signed_in
