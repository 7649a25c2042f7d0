"""TLS and sign-in: scrapes with them and without, and new connections while others misbehave, by turns.

The client is a raw socket loop in this process; its own work, TLS included, is in all numbers.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from statistics import median
from time import perf_counter

from e2e.processes import Service, until
from web.certificates import PASSWORD, TLS, hashed, trusting, written

from .programs import Scraper, a_folder, recorded, running
from .scrape import NOWHERE
from .table import Effort, Row, by_turns

USERS = f"basic_auth_users: {{alice: {hashed(cost=10)}}}\n"  # the cost that the toolkit's documentation has
WAYS = {"a password": USERS, "TLS": TLS, "TLS and a password": TLS + USERS}


class Visitor(Scraper):
    """A scraper with the right password, over TLS if need be."""

    def __init__(self, port: int, *, tls: bool, password: str = PASSWORD) -> None:
        super().__init__(port)
        if tls:
            self._connection = trusting().wrap_socket(self._connection, server_hostname="localhost")
        credentials = base64.b64encode(f"alice:{password}".encode())
        self._request = self._request[:-2] + b"Authorization: Basic " + credentials + b"\r\n\r\n"

    def send(self) -> None:
        self._connection.sendall(self._request)


def measure(effort: Effort) -> Iterator[Row]:
    pipelines, seconds = effort(200, 10), 0.1 if effort.quick else 1.0
    with ExitStack() as stack:
        plain = Visitor(stack.enter_context(serving("", pipelines)), tls=False)
        for way, config in WAYS.items():
            port = stack.enter_context(serving(config, pipelines))
            visitor = Visitor(port, tls="TLS" in way)
            one, other = by_turns(
                lambda visitor=visitor: visitor.rate(seconds).per_second,
                lambda: plain.rate(seconds).per_second,
                effort.repeats,
            )
            yield Row(
                what=f"scrapes a second with {way} (more is better), {pipelines:,} pipelines",
                unit="/s",
                ours=one,
                theirs=other,
                against="without",
            )
        yield beside("200 handshakes that never end", stalled, port, effort)
        yield beside("50 guesses of the password", guessing, port, effort)


def beside(what: str, others: Callable[[int], AbstractContextManager[None]], port: int, effort: Effort) -> Row:
    """A new connection over TLS and one scrape: while others are at it, and without them."""

    def among_others() -> float:
        with others(port):
            return arrival(port, effort(20, 2))

    one, other = by_turns(among_others, lambda: arrival(port, effort(20, 2)), effort.repeats)
    return Row(what=f"connecting and a scrape beside {what}", unit="ms", ours=one, theirs=other, against="without them")


def arrival(port: int, number: int) -> float:
    """The median of so many, in milliseconds."""
    taken = []
    for _ in range(number):
        began = perf_counter()
        visitor = Visitor(port, tls=True)
        assert visitor.once()
        taken.append((perf_counter() - began) * 1e3)
        visitor.close()
    return median(taken)


@contextmanager
def stalled(port: int) -> Iterator[None]:
    with ExitStack() as stack:
        for number in range(200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"\x16\x03\x01\x02" if number % 2 else b"")  # half a hello, or none
        yield


@contextmanager
def guessing(port: int) -> Iterator[None]:
    guessers = [Visitor(port, tls=True, password=f"{number}") for number in range(50)]
    for guesser in guessers:
        guesser.send()
    yield
    for guesser in guessers:
        guesser.close()


@contextmanager
def serving(config: str, pipelines: int) -> Iterator[int]:
    """The service with this web config; its port."""
    with a_folder() as folder, recorded(folder, pipelines=pipelines):
        written(folder, config)
        extra = 'config_file = "web.yml"' if config else ""
        with running(Service(folder, api=NOWHERE, interval="1h", extra=extra)) as service:
            until(lambda: "serving" in service.text, what="it serves")
            yield service.port
