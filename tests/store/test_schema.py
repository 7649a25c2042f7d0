"""The migrations make the tables that the code expects, and nothing else."""

import subprocess
import sys
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


def test_a_store_that_is_up_to_date_opens_without_the_migration_tool(file):
    """It costs a quarter of a second, more than all else at the start of a command."""
    program = f"""
import sys
from exporter.store.database import Database
Database.open("sqlite:///{file}", exclusive=True).close()
sys.exit("alembic" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
