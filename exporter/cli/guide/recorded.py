"""Looks a run's project up in the service's record, where there is one: it spares the search.

A convenience: no record, one that is in use, damaged or of another version means not known, never an error. Must not
create or change a record.
"""

from __future__ import annotations

from pathlib import Path

from exporter.cli.options import DEFAULT_CONFIG, WrongConfig, read_config

_SQLITE = "sqlite:///"


def recorded_project(config_path: Path | None, run_id: str) -> str | None:
    """The id of the project that the record has the run in; None when it is not known."""
    url = _record_url(config_path)
    if url is None:
        return None
    from exporter.store import record  # with SQLAlchemy a quarter of a second: only when there is a record
    from exporter.store.database import Database
    from exporter.store.errors import StoreError

    try:
        database = Database.open(url, exclusive=False)
        try:
            with database.reading() as connection:
                found = record.find(connection, run_id)
        finally:
            database.close()
    except StoreError:
        return None
    return found.run.pipeline.project_id or None if found else None


def _record_url(config_path: Path | None) -> str | None:
    path = config_path or Path(DEFAULT_CONFIG)
    if not path.exists():
        return None
    try:
        url = read_config(path, only=("maia", "store")).store.url.get_secret_value()
    except WrongConfig:
        return None
    file = url.removeprefix(_SQLITE).partition("?")[0]
    return url if url.startswith(_SQLITE) and Path(file).is_file() else None
