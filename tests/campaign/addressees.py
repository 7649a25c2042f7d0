"""The two targets: Slack behind its TLS proxy and a mailbox, in the mood of the moment, and what each was given.

A copy counts from when a person could read it. Whether we also said so is what makes a second one excusable.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass

from crash.harness import Trigger
from delivery.targets import OK, PAGE, Answer, HttpTarget, MailTarget, Posted


@dataclass(frozen=True, slots=True)
class Copy:
    """A message that arrived; `confirmed`: and we said so, in the words of a service that takes it over."""

    title: str
    body: str
    confirmed: bool


class Slack:
    """`hooks.slack.com`, as far as the service can tell."""

    moods = (
        "down", "hang", "stored_hang", "error", "stored_error", "throttle", "refuse", "poison", "page", "slow",
        "stored_drop", "drop",
    )  # fmt: skip

    def __init__(self, tls: ssl.SSLContext, trigger: Trigger) -> None:
        self.copies: list[Copy] = []
        self.declined: list[str] = []  # the bodies that it would not have, whatever they say
        self._tls, self._trigger = tls, trigger
        self._mood = ""
        self._calm = threading.Event()
        self._calm.set()
        self._server = HttpTarget(self._answer, tls=tls, witness=trigger)
        self.proxy = self._server.proxy

    def be(self, mood: str) -> None:
        """From now on; "" is well."""
        if mood == "down" and self._mood != "down":
            self._server.stop()
        elif self._mood == "down" and mood != "down":
            self._server = HttpTarget(self._answer, tls=self._tls, witness=self._trigger, port=self._server.port)
        self._mood = mood
        self._calm.set()
        self._calm = threading.Event()
        if not mood:
            self._calm.set()

    def stop(self) -> None:
        self._calm.set()
        if self._mood != "down":
            self._server.stop()

    def _answer(self, posted: Posted) -> Answer:
        mood, calm = self._mood, self._calm
        if mood == "slow":
            threading.Timer(3, calm.set).start()
        well = mood in ("", "slow", "down")  # a server that goes down answers whom it was listening to
        if well or mood.startswith("stored_"):
            self.copies.append(Copy(posted.title, posted.body, confirmed=well))
        if mood == "poison":
            self.declined.append(posted.body)
        return {
            "hang": Answer(status=503, after=calm, drop=True),
            "stored_hang": Answer(after=calm, drop=True),
            "error": Answer(status=503, body=b"unavailable"),
            "stored_error": Answer(status=500, body=b"rollup_error"),
            "throttle": Answer(status=429, body=b"rate_limited", headers={"Retry-After": "2"}),
            "refuse": Answer(status=401, body=b"invalid_auth"),
            "poison": Answer(status=400, body=b"invalid_blocks"),
            "page": PAGE,
            "slow": Answer(after=calm),
            "stored_drop": Answer(drop=True),
            "drop": Answer(drop=True),
        }.get(mood, OK)


class Mail:
    """A mail server."""

    moods = ("down", "hang", "stored_hang", "error", "throttle", "refuse", "slow", "stored_drop")

    def __init__(self, trigger: Trigger) -> None:
        self.declined: list[str] = []
        self._before: list[Copy] = []  # of servers that went down
        self._mood = ""
        self._trigger = trigger
        self._calm = threading.Event()
        self._calm.set()
        self._confirmed: dict[int, bool] = {}
        self._server = MailTarget(witness=self)
        self.port = self._server.port

    @property
    def copies(self) -> list[Copy]:
        return self._before + self._of_this_server()

    def _of_this_server(self) -> list[Copy]:
        return [
            Copy(" ".join(str(mail["Subject"]).split()), mail.get_content(), self._confirmed.get(id(mail), False))
            for mail in list(self._server.mails)
        ]

    def be(self, mood: str) -> None:
        """From now on; "" is well, and so is what this target does not know."""
        if mood == "down" and self._mood != "down":
            self._server.stop()
        elif self._mood == "down" and mood != "down":
            self._before = self.copies
            self._server = MailTarget(witness=self, port=self.port)
        self._mood = mood
        self._calm.set()
        self._calm = threading.Event()
        if mood not in ("hang", "stored_hang", "slow"):
            self._calm.set()
        server = self._server
        server.drop = mood in ("stored_drop", "stored_hang")
        server.at_rcpt = {"refuse": "550 5.1.1 No such user"}.get(mood, "250 OK")
        server.at_data = {"error": "451 4.3.0 Local error", "throttle": "421 4.7.0 Too many"}.get(mood, "250 OK")

    def stop(self) -> None:
        self._calm.set()
        if self._mood != "down":
            self._server.stop()

    # The witness of the server

    def connected(self) -> None:
        self._trigger.connected()
        if self._mood == "hang":
            self._calm.wait(30)

    def received(self) -> None:
        mail = self._server.mails[-1]
        self._confirmed[id(mail)] = not self._server.drop
        self._trigger.received()
        if self._mood == "stored_hang":
            self._calm.wait(30)
        elif self._mood == "slow":
            self._calm.wait(2)

    def answered(self) -> None:
        self._trigger.answered()
