"""Which routes held since when: a row beside the reading's progress. Works on the caller's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from exporter.core.routing import RoutingEpoch
from exporter.store.schema import cursor
from exporter.store.upsert import Upsert

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ROUTING = "routing"  # the name of the cursor's row

_decode = msgspec.json.Decoder(tuple[RoutingEpoch, ...]).decode
_upsert = Upsert(cursor)
_READ = select(cursor.c.v).where(cursor.c.k == _ROUTING)


def load(connection: Connection) -> tuple[RoutingEpoch, ...]:
    """All that are remembered, oldest first; none before the first poll."""
    text = connection.execute(_READ).scalar()
    return () if text is None else _decode(text)


def save(connection: Connection, epochs: tuple[RoutingEpoch, ...]) -> None:
    """Remember these from now on."""
    _upsert(connection, [(_ROUTING, msgspec.json.encode(epochs).decode())])
