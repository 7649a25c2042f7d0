"""INSERT … ON CONFLICT DO UPDATE in the words of either database, for many rows at a time.

Must not know what the rows mean.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Table

_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
_PLACEHOLDERS = {"sqlite": "qmark", "postgresql": "format"}


class Upsert:
    """Inserts rows of a table, or overwrites those that have the same key (those where `only_where` holds).

    Rows are plain tuples in the order of the table's columns, as the driver takes them. They go past SQLAlchemy's
    parameters: a thousand rows of 20 columns cost it as much as the database itself.
    """

    def __init__(self, table: Table, *, only_where: ColumnElement[bool] | None = None) -> None:
        self._table = table
        self._only_where = only_where
        self._statement = cache(self._compiled)

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write the rows; a key may occur once."""
        if rows:
            connection.exec_driver_sql(self._statement(connection.dialect.name), list(rows))

    def _compiled(self, dialect: str) -> str:
        words = _DIALECTS[dialect]
        insert = words.insert(self._table)
        keys = [column.name for column in self._table.primary_key]
        values = {column.name: insert.excluded[column.name] for column in self._table.c if column.name not in keys}
        statement = insert.on_conflict_do_update(index_elements=keys, set_=values, where=self._only_where)
        return str(statement.compile(dialect=words.dialect(paramstyle=_PLACEHOLDERS[dialect])))
