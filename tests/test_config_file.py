"""The service's config file: all that is wrong with it, also where it leads to, in one error."""

import pytest

from exporter.config.errors import ConfigError
from exporter.config_file import ConfigFile


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise asks for it
def test_what_is_wrong_with_targets_and_the_web_config_is_said_together_with_the_rest(tmp_path):
    (tmp_path / "web.yml").write_text("tls_server_confg: {}\n")
    (tmp_path / "config.toml").write_text(
        """
[maia]
client_id = "id"
client_secret = "a-secret"
[poll]
intervall = "1s"
[web]
listen = "nowhere"
config_file = "web.yml"
[[targets]]
name = "good"
url = "json://localhost"
[[targets]]
name = "two"
url = "slack://T12345678/B12345678/abcdefghijklmnopqrstuvwx/#a/#b"
[[targets]]
name = "soft"
url = "json://user:password@localhost/?optional=yes"
max_per_minute = 0
[[targets]]
url = "nosuchservice://token"
"""
    )

    with pytest.raises(ConfigError) as caught:
        ConfigFile(tmp_path / "config.toml", {}).load()

    text = str(caught.value)
    for expected in (
        "[poll] intervall: unknown key",
        "[web] listen: ",
        "tls_server_confg",
        '[[targets]] #2 "two" url: has more than one recipient',
        '[[targets]] #3 "soft" url: has optional=',
        '[[targets]] #3 "soft" max_per_minute: ',
        "[[targets]] #4 name: is missing",
        "[[targets]] #4 url: is no URL that Apprise can load",
    ):
        assert expected in text
    assert '"good"' not in text
    for secret in ("password", "abcdefghijklmnopqrstuvwx", "//token"):
        assert secret not in text
