"""How commands come by the store: beside the service while it runs, in its place while it does not.

Must not hold a command's own logic.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.cli.options import fail, read_config
from exporter.store.database import Database
from exporter.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def store_of(config_path: Path | None) -> Iterator[Database]:
    """The store of the config's service, open beside it; an error of the store ends the command with exit 1."""
    url = read_config(config_path).store.url.get_secret_value()
    try:
        database = Database.open(url, exclusive=False)
        try:
            yield database
        finally:
            database.close()
    except StoreError as error:
        fail(str(error))
