"""The migrations make the tables that the code expects, and nothing else."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import exporter.store
from exporter.store import schema
from exporter.store.database import Database
from exporter.store.upgrade import HEAD


def test_the_migrations_make_the_tables_of_the_code(tmp_path):
    for module in iter_modules(exporter.store.__path__, "exporter.store."):
        import_module(module.name)  # each adds its tables to the metadata
    database = Database.open(f"sqlite:///{tmp_path / 'store.db'}", exclusive=True)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    database.close()


def test_the_newest_migration_is_the_version_that_the_code_expects():
    versions = (Path(exporter.store.__file__).parent / "migrations" / "versions").glob("[0-9]*.py")
    assert max(versions).name[:4] == HEAD
