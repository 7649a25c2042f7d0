"""A log at debug, the pages, the commands, the process list and the record show no secret, whatever goes wrong."""

import ssl
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import trustme
from delivery.targets import Answer, HttpTarget
from e2e.processes import EXPORTER, free_port, until

from exporter.simulator.server import serve

pytestmark = pytest.mark.e2e

CLIENT_SECRET = "client-secret-8c1f0a57"
STORE_PASSWORD = "store-password-55d0c3"
HEARTBEAT = "heartbeat-5b1f6d0e-2a44"
DEBUG = ("--log-level", "debug")
ECHO = "the-service-says-your-key-is-"


class Account:
    """The simulator in this process, so that the tokens it gives are known."""

    def __init__(self, stack):
        self._served = stack.enter_context(serve("failing", speed=60))
        self.url = self._served.url
        self._simulation = self._served.app.state.simulation
        self._http = stack.enter_context(httpx.Client(base_url=self._served.control_url, trust_env=False, timeout=20))
        self.tokens = set()

    def fault(self, kind, **what):
        self._http.delete("/faults")
        self._http.post("/faults", json={"kind": kind, **what}).raise_for_status()

    def works(self):
        self._http.delete("/faults")
        self.remember()
        self._http.post("/token/revoke").raise_for_status()  # a 401 in the middle

    def remember(self):
        self.tokens |= set(self._simulation.tokens._deaths)


def key(name):
    """A secret path of a target's URL: long and random-looking, as web hooks have it."""
    return f"k{name}0123456789abcdef0123"


def targets(stack):
    """Targets that fail in every way, by name; each URL has a password and a key."""

    def url(kind, *, scheme="json", answer=None, tls=None):
        server = HttpTarget(answer or Answer(), tls=None)
        if tls:
            server._server.socket = tls.wrap_socket(server._server.socket, server_side=True)
        stack.callback(server.stop)
        return f"{scheme}://ops:password-{kind}-77@127.0.0.1:{server.port}/{key(kind)}"

    def echoing(status, kind):
        return Answer(status=status, body=f'{{"error": "{ECHO}{key(kind)} password-{kind}-77"}}'.encode())

    nobody_vouches = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(nobody_vouches)
    broken_header = {"X-Broken": "a\r\nno colon here\r\nX-Also: b"}
    return {
        "refuses": url("refuses", answer=echoing(401, "refuses")),
        "fails": url("fails", answer=echoing(500, "fails")),
        "poisoned": url("poisoned", answer=echoing(400, "poisoned")),
        "garbled": url("garbled", answer=Answer(status=502, headers=broken_header)),
        "drops": url("drops", answer=Answer(drop=True)),
        "tls": url("tls", scheme="jsons", tls=nobody_vouches),
        "absent": f"json://ops:password-absent-77@127.0.0.1:{free_port()}/{key('absent')}",
        "mail": f"mailto://ops:password-mail-77@127.0.0.1:{free_port()}/?from=a@example.com&to=b@example.com&mode=insecure",
    }


CAUSES = {
    "server": {"kind": "status", "status": 503, "body": "html"},
    "auth": {"kind": "status", "status": 401, "path": "/*"},
    "decode": {"kind": "html"},
    "network": {"kind": "reset"},
}


def test_a_debug_log_and_all_there_is_to_see_may_be_pasted_into_a_ticket(stage):
    with ExitStack() as stack:
        account, urls = Account(stack), targets(stack)
        tables = "".join(f'[[targets]]\nname = "{name}"\nurl = "{url}"\n' for name, url in urls.items())
        options = {
            "api": account.url,
            "extra": f'[alerts]\nheartbeat_url = "http://127.0.0.1:{free_port()}/{HEARTBEAT}"\n{tables}',
        }
        service = stage.service(secret=CLIENT_SECRET, flags=(*DEBUG, "--log-format", "json"), **options)
        until(lambda: service.sample("maia_exporter_poll_failures_total", cause="auth"), what="a wrong client secret")
        service.end()
        service = stage.service(flags=DEBUG, **options)
        service.up()
        for cause, fault in CAUSES.items():
            account.fault(**fault)
            until(lambda: service.sample("maia_exporter_poll_failures_total", cause=cause), what=cause)  # noqa: B023
            account.works()
            service.up()
        for name in urls:
            failures = lambda: sum(service.samples("maia_notification_failures_total", target=name))  # noqa: B023, E731
            until(failures, timeout=60, what=f"{name} has failed")
        until(lambda: "no heartbeat" in service.text, what="the heartbeat has failed")
        account.remember()

        seen = [service.get(path).text for path in ("/", "/metrics", "/api/v1/status", "/-/ready", "/nowhere")]
        for command in (("alerts", "list", "--json"), ("alerts", "test", "poisoned"), ("check", "--live"), ("once",)):
            words = [EXPORTER, *command, "--config", service.config, *DEBUG]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=stage.folder)
            assert "Traceback" not in done.stderr
            seen += [done.stdout, done.stderr]
        seen += [path.read_text() for path in Path(f"/proc/{service.pid}").glob("task/*/c[om]*m*") if path.is_file()]
        service.end()

    seen += [service.text, *(path.read_bytes().decode("latin-1") for path in stage.folder.glob("*.db*"))]
    assert "asked the API" in service.text
    assert len(account.tokens) > len(CAUSES)
    passwords = {f"password-{name}-77" for name in urls}
    for secret in {CLIENT_SECRET, HEARTBEAT, ECHO, *map(key, urls), *passwords, *account.tokens}:
        assert not [text for text in seen if secret in text], secret


def test_a_database_that_cannot_be_had_shows_no_password(tmp_path):
    config = tmp_path / "config.toml"
    url = f"postgresql+psycopg://me:{STORE_PASSWORD}@127.0.0.1:{free_port()}/maia"
    config.write_text(f'[maia]\nclient_id = "id"\nclient_secret = "s"\n[store]\nurl = "{url}"\n')
    words = [EXPORTER, "run", "--config", config, *DEBUG]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)

    assert done.returncode != 0
    assert done.stderr
    assert STORE_PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
