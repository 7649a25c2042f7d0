"""Which connections we keep: a client that is silent, drips or does not read cannot keep others from being served.

uvicorn waits for a request's header, and for a stalled reader, for ever, and counts idle connections against its
concurrency limit. Here every phase of a connection has a time, and the longest waiting one makes room for a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport
    from collections.abc import Callable


VERIFIED = "exporter.verified"
"""A request's scope has this, true, when its connection began with a client certificate that we trust."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long we wait for a client, in seconds, and for how many at once."""

    request: float = 10.0  # from the connection, or a later request's first byte, to the request's last byte
    answer: float = 60.0  # until our answer is written
    idle: float = 120.0  # until the next request; longer than scrape intervals, so that connections are reused
    connections: int = 500  # under the usual limit of 1,024 open files
    request_bytes: int = 65_536
    look_every: float = 1.0  # seconds between two looks at all of them


class Member(Protocol):
    """A connection, as the crowd sees it."""

    loop: AbstractEventLoop
    waiting_since: float  # by the loop's clock
    patience: float

    @property
    def answering(self) -> bool:
        """Whether it waits for us, not we for it."""

    def drop(self) -> None:
        """End it at once."""


class Crowd:
    """The connections of one server. Looks at them now and then, as long as there are any."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._members: dict[Member, None] = {}  # in the order of their coming: several may come in one instant
        self._looking = False

    def admit(self, newcomer: Member) -> None:
        """Let a connection in, and the one that has kept us waiting longest out if there are too many."""
        if len(self._members) >= self.patience.connections:
            min(self._members, key=lambda member: (member.answering, member.waiting_since)).drop()
        self._members[newcomer] = None
        if not self._looking:
            self._looking = True
            newcomer.loop.call_later(self.patience.look_every, self._look, newcomer.loop)

    def leave(self, member: Member) -> None:
        """A connection is gone."""
        self._members.pop(member, None)

    def send_home(self) -> None:
        """Drop whoever is still here."""
        for member in list(self._members):
            member.drop()

    def _look(self, loop: AbstractEventLoop) -> None:
        now = loop.time()
        for member in [member for member in self._members if now - member.waiting_since > member.patience]:
            member.drop()
        self._looking = bool(self._members)
        if self._looking:
            loop.call_later(self.patience.look_every, self._look, loop)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also notes what it waits for and since when."""

    at_the_door: Callable[[Transport], bool] | None = None
    """Whether a client may come in at all, by what its handshake said of it."""
    verified = False
    """Whether it has shown a certificate that we trust."""

    def __init__(self, *, crowd: Crowd, **server: Any) -> None:
        super().__init__(**server)
        self.waiting_since = self.loop.time()
        self.patience = crowd.patience.request
        self._crowd = crowd
        self._receiving = False
        self._received = 0

    @property
    def answering(self) -> bool:
        """Whether the app still works at an answer, to the last request or to one before it."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """A client has connected."""
        super().connection_made(transport)
        welcome = self.at_the_door is None or self.at_the_door(transport)
        self._crowd.admit(self)
        if not welcome:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client has gone."""
        self._crowd.leave(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """End the connection without waiting for the client to read what is written."""
        self._crowd.leave(self)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        if self._received > self._crowd.patience.request_bytes and not self.transport.is_closing():
            self.drop()

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        if self.verified:
            cast("dict[str, object]", self.scope)[VERIFIED] = True
        self._receiving = True
        self._wait(self._crowd.patience.request)

    def on_message_complete(self) -> None:
        """A request's last byte."""
        self.request_ended()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer's last byte is written, or waits for the client to read."""
        self.answer_ended()
        super().on_response_complete()

    def request_ended(self) -> None:
        """From now on the client waits for us."""
        self._receiving = False
        self._received = 0
        self._wait(self._crowd.patience.answer)

    def answer_ended(self) -> None:
        """From now on we wait for what is left of the request, or for the next one."""
        if not self._receiving:
            self._wait(self._crowd.patience.idle)

    def _wait(self, patience: float) -> None:
        self.waiting_since = self.loop.time()
        self.patience = patience
