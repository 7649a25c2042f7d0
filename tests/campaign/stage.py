"""All processes of one campaign: simulator, targets, service (one, or replicas on one database), and who watches them.

Must not decide what goes wrong (`schedule.py`), nor what was right (`verdict.py`).
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
import trustme
from crash.harness import Trigger
from delivery.targets import HttpTarget
from e2e.processes import EXPORTER, Process, Simulator, free_port, until

from .account import EXPECTATIONS, LIMITS, Account, instant, script
from .addressees import Mail, Slack
from .scraper import Scraper
from .store import LEASED, PostgresStore, SqliteStore
from .tokens import TokenOffice

CONFIG = """
[maia]
api_url = "{api}/dpc"
token_url = "{tokens}/oauth/dpc/token"
client_id = "demo"
client_secret = "{secret}"
requests_per_minute = 1000000
request_timeout = "12s"
[poll]
interval = "1s"
[store]
url = "{store}"
[web]
listen = "127.0.0.1:{port}"
[alerts]
exporter_after = "15s"
heartbeat_url = "{heartbeat}"
[[targets]]
name = "slack"
url = "slack://T12345678/B12345678/{slack}"
max_per_minute = {slack_rate}
[[targets]]
name = "mail"
url = "mailto://localhost:{mail_port}/?from=maia{mail}@example.com&to=oncall@example.com&mode=insecure"
max_per_minute = {mail_rate}
{limits}
{expectations}
"""

BAD_CONFIGS = {
    "nonsense": "[nonsense]",
    "success_withn": "[[expectations]]\nsuccess_withn = '20s'",
    "nowhere": "[[targets]]\nname = 'nowhere'\nurl = 'nowhere://x'",
    "[[routes]] #1 environments": "[[routes]]\ntargets = ['mail']\nenvironments = []",
}
"""What must be refused, by words that the refusal must hold: a misspelt table or key, a target that does not load, a
route that nothing can match."""

_UP = re.compile(r"^maia_up 1(\.0)?$", re.M)


class Replica:
    """One place where a service runs: a port, a config, a clock; started again and again."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage, self.number = stage, number
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = stage.folder / f"replica-{number}"
        self.folder.mkdir()
        self.config = self.folder / "config.toml"
        self.clock = self.folder / "clock"
        self.clock.write_text("+0")
        self.process: Process | None = None
        self.starts = 0
        self.stopped = False  # by SIGSTOP
        self.going = False  # wanted to be: cleared before it is ended
        self.scraper = Scraper(self.url, expected=self.expected, look=stage.look_for_secrets)

    def start(self) -> None:
        self.stage.disarm()
        self.config.write_text(self.stage.config(self.port))
        self.starts += 1
        self.process = Process(
            EXPORTER, "run", "--config", self.config, "--log-level", "debug",
            folder=self.folder, name="service", env=self._environment(),
        )  # fmt: skip
        self.going = True

    def expected(self) -> object:
        """What names the process if it must answer now."""
        process = self.process
        if process is None or not self.going or self.stopped or process.ended() is not None:
            return None
        return process.pid

    @property
    def serves(self) -> bool:
        """Whether this very process has answered."""
        return self.process is not None and self.scraper.answered == self.process.pid

    def kill(self) -> None:
        """Now, wherever it is."""
        self.stage.disarm()
        if self.process and self.process.ended() is None:
            self.process.end(signal.SIGKILL)
        self.stopped = False

    def end(self) -> None:
        """Politely; it must end by itself, with 0, in time."""
        self.resume()
        self.going = False
        self.stage.disarm()
        if self.process is None or self.process.ended() is not None:
            return
        os.kill(self.process.pid, signal.SIGCONT)  # who was to be killed at a delivery may have been stopped for it
        held = (
            self.scraper.answered == self.process.pid
        )  # before it serves, a signal may end it in the middle of an import
        began = time.perf_counter()
        try:
            code: object = self.process.end(signal.SIGTERM, timeout=14)
        except subprocess.TimeoutExpired:
            code = "nothing"
        seconds = time.perf_counter() - began
        self.stage.count["polite ends"] += 1
        self.stage.excuse()  # a send that hangs is left behind at the end
        if code == -signal.SIGKILL:  # by strace, at a write of its end
            self.stage.count["kills"] += 1
        elif (code != 0 and held) or seconds > 12:
            self.stage.trouble.append(f"SIGTERM: exit code {code} after {seconds:.1f} s")

    def reload(self, *, bad: str = "") -> bool:
        """Write its config anew, with something bad added, and let it read that; whether it could be asked to."""
        if self.process is None or self.expected() is None or not self.serves:
            return False
        good = self.stage.config(self.port)
        self.config.write_text(f"{good}\n{bad}\n" if bad else good)
        self.stage.count["reloads"] += 1
        os.kill(self.process.pid, signal.SIGHUP)
        return True

    def sample(self, name: str) -> float | None:
        """The sample without labels of that name, None when it is not to be had."""
        try:
            with httpx.Client(trust_env=False, timeout=5) as client:
                found = re.search(rf"^{name} (\S+)$", client.get(f"{self.url}/metrics").text, re.M)
        except httpx.HTTPError:
            return None
        return float(found[1]) if found else None

    def pause(self) -> None:
        if self.process and self.process.ended() is None:
            self.stopped = True
            os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self.stopped and self.process and self.process.ended() is None:
            os.kill(self.process.pid, signal.SIGCONT)
        self.stopped = False

    def _environment(self) -> dict[str, str]:
        stage = self.stage
        environment = {
            "HTTPS_PROXY": stage.slack.proxy,
            "REQUESTS_CA_BUNDLE": str(stage.bundle),
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONHASHSEED": "0",
        }
        if stage.faketime:
            environment |= {
                "LD_PRELOAD": stage.faketime,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",
            }
        return environment


class Stage:
    """Use with `with`."""

    def __init__(self, folder: Path, store: SqliteStore | PostgresStore) -> None:
        self.folder = folder
        self.store = store
        self.faketime = next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), "")
        self.slack_trigger, self.mail_trigger = Trigger(), Trigger()
        self.count: Counter[str] = Counter()  # what was done to it
        self.trouble: list[str] = []  # what the service did and should not have
        self.excused: Counter[tuple[str, str]] = Counter()  # (event id, target) -> copies that a death may have cost
        self.rates = {"slack": 240, "mail": 60}
        self.rules = [(0.0, frozenset({"cancel"}))]  # since when which modes of the nightly limit can be in force
        self.mode = "cancel"
        self.leaks: set[str] = set()
        self.never = threading.Event()
        self.rested_since: float | None = None
        self._secrets: dict[str, str] = {"client secret": secrets.token_hex(16), "heartbeat": secrets.token_hex(12)}
        self._urls = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _begin(self) -> None:
        authority = trustme.CA()
        self.bundle = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("hooks.slack.com").configure_cert(tls)
        self.slack = Slack(tls, self.slack_trigger)
        self._stack.callback(self.slack.stop)
        self.mail = Mail(self.mail_trigger)
        self._stack.callback(self.mail.stop)
        self.heartbeat = HttpTarget()
        self._stack.callback(self.heartbeat.stop)
        script_file = self.folder / "script.toml"
        script_file.write_text(script())
        self.simulator = Simulator(self.folder, script=script_file, speed=1.0)
        self._stack.callback(self.simulator.end)
        self.account = Account(self.simulator)
        self.tokens = TokenOffice(self.simulator.url, secret=self._secrets["client secret"])
        self._stack.callback(self.tokens.stop)
        if self.store.secret:
            self._secrets["database password"] = self.store.secret
        self.new_url()
        self.replicas = [Replica(self, number + 1) for number in range(self.store.replicas)]
        for replica in self.replicas:
            self._stack.callback(replica.kill)
            self._stack.callback(replica.scraper.stop)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def targets(self) -> dict[str, Slack | Mail]:
        return {"slack": self.slack, "mail": self.mail}

    def config(self, port: int) -> str:
        """The config of a replica, as it is to be now."""
        return CONFIG.format(
            api=self.simulator.url,
            tokens=self.tokens.url,
            secret=self._secrets["client secret"],
            store=self.store.url,
            port=port,
            heartbeat=f"http://127.0.0.1:{self.heartbeat.port}/{self._secrets['heartbeat']}",
            slack=self._secrets[f"webhook {self._urls}"],
            slack_rate=self.rates["slack"],
            mail=self._urls,
            mail_rate=self.rates["mail"],
            mail_port=self.mail.port,
            limits=LIMITS.format(mode=self.mode),
            expectations=EXPECTATIONS,
        )

    def new_url(self) -> None:
        """What an operator does about a target that had been suspended: from the next start on its URL is another."""
        self._urls += 1
        self._secrets[f"webhook {self._urls}"] = secrets.token_hex(12)

    def set_mode(self, mode: str, take_up: Callable[[], None]) -> None:
        """Change what the nightly limit does; until `take_up` returns, either is right."""
        self.rules.append((self.now(), frozenset({mode, self.mode})))
        self.mode = mode
        take_up()
        self.rules.append((self.now(), frozenset({mode})))

    def disarm(self) -> None:
        """No delivery kills: whom it was to kill is gone, or about to go."""
        self.slack_trigger.arm(0, "")
        self.mail_trigger.arm(0, "")

    # The simulator

    def now(self) -> float:
        """Its clock."""
        return instant(self.simulator.truth(runs=0)["now"])

    def requests(self, *, seconds: float) -> list[dict[str, Any]]:
        """What it was asked in the last seconds."""
        since = datetime.fromtimestamp(self.now() - seconds, UTC).isoformat()
        return self.simulator.log_of_requests(since=since)

    def unfault(self, number: int) -> None:
        """That fault is over, if it was not already."""
        self.simulator.calm_down(number)

    def end_if_going(self, run_id: str) -> None:
        """A run ends by itself, unless it has."""
        self.simulator.end_run(run_id)

    def retry_dead_letters(self) -> None:
        """What an operator does about messages that a target would not have, once it would."""
        command = [EXPORTER, "alerts", "retry", "--config", str(self.replicas[0].config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            self.trouble.append(f"alerts retry: exit code {done.returncode}: {done.stderr.strip()[-600:]}")
        self.look_for_secrets(f"{done.stdout} {done.stderr}".encode(), "what alerts retry says")

    # What died while sending

    def excuse(self) -> None:
        """What is being sent at this moment may arrive twice: whoever sends it is dead, or will be thought to be."""
        rows = self.store.rows(LEASED)
        self.excused.update((str(event), str(target)) for event, target in rows)
        self.count["messages in flight"] += len({target for _, target in rows})

    # Secrets

    def look_for_secrets(self, content: bytes, where: str) -> None:
        """Remember each secret that stands there."""
        for name, secret in [*self._secrets.items(), *(("token", token) for token in list(self.tokens.issued))]:
            if secret.encode() in content:
                self.leaks.add(f"{name} in {where}")

    def look_everywhere_for_secrets(self) -> None:
        for replica in self.replicas:
            self.look_for_secrets((replica.folder / "service.log").read_bytes(), "the log")
            if replica.process and replica.process.ended() is None:
                line = Path(f"/proc/{replica.process.pid}/cmdline").read_bytes()
                self.look_for_secrets(line, "the list of processes")
        for content in self.store.content():
            self.look_for_secrets(content, "the record")
        for name, target in self.targets.items():
            for copy in target.copies:
                self.look_for_secrets(f"{copy.title} {copy.body}".encode(), f"a message to {name}")

    def up(self, *, timeout: float = 60.0) -> None:
        """Until one of the replicas has polled well."""

        def polls() -> bool:
            for replica in self.replicas:
                with httpx.Client(trust_env=False, timeout=5) as client:
                    try:
                        if _UP.search(client.get(f"{replica.url}/metrics").text):
                            return True
                    except httpx.HTTPError:
                        continue
            return False

        until(polls, timeout=timeout, every=0.2, what="a service polls well")
