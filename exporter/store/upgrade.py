"""Which version of the schema is there, and how it becomes ours.

Must not touch what a later version, or another program, has written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from exporter.store import schema
from exporter.store.errors import StoreCorrupt, StoreNewer, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0004"
"""The newest in `migrations/versions`."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_OURS = re.compile(r"[0-9]{4}")
_VERSION = text("SELECT version_num FROM alembic_version")
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(6426)")  # our own number; PostgreSQL only


def needs_upgrade(connection: Connection, place: str) -> bool:
    """Whether the schema is absent or older than HEAD. Raises StoreNewer, and StoreCorrupt for another program's."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        taken = sorted(tables & schema.metadata.tables.keys())
        if taken:
            raise _not_ours(place, f"has tables ({', '.join(taken)}) that we did not make")
        return True
    version: str | None = connection.execute(_VERSION).scalar()
    if version is None or not _OURS.fullmatch(version):
        raise _not_ours(place, f"has the schema version {version or 'none'}, which is none of ours")
    if version > HEAD:
        raise StoreNewer(
            f"open the record: {place}: a later version of maia-exporter has written it (schema {version}, this one "
            f"knows {HEAD}); run that version, or name another [store] url"
        )
    return version < HEAD


def upgrade(connection: Connection) -> None:
    """Bring the schema to HEAD in the caller's transaction: all of it, or nothing."""
    from alembic import command  # a quarter of a second: only when there is something to do
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(_ONE_AT_A_TIME)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")


def outdated(place: str) -> StoreUnavailable:
    """What a command says that may not change the schema."""
    return StoreUnavailable(
        f"open the record: {place}: there is none yet, or one of an earlier version; "
        "start the service once, it makes the record or brings it up to date"
    )


def _not_ours(place: str, reason: str) -> StoreCorrupt:
    return StoreCorrupt(f"open the record: {place}: {reason}: is it another program's? Name another [store] url")
