"""Many rows into one table at the speed of the driver: COPY on Postgres, prepared INSERT on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from json import JSONEncoder
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import JSON, ColumnElement, String, any_, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY

from pigeonry.store.base import Base, UtcDateTime
from pigeonry.store.session import Session

_DIALECT = sqlite.dialect()
_dumps = JSONEncoder(ensure_ascii=False).encode


def add_rows(
    session: Session, table: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows whose values stand in the order of `columns`. Dicts become JSON, times UTC.

    One prepared statement for all rows, or one COPY: never a statement that grows with them.
    """
    connection = session.connection()
    types = [table.__table__.columns[name].type for name in columns]
    texts = [at for at, kind in enumerate(types) if isinstance(kind, JSON)]
    times = [at for at, kind in enumerate(types) if isinstance(kind, UtcDateTime)]
    if connection.dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()
        statement = f"COPY {table.__tablename__} ({', '.join(columns)}) FROM STDIN"
        with cursor, cursor.copy(statement) as copy:
            for row in rows:
                values = list(row)
                for at in texts:
                    values[at] = _dumps(values[at])
                copy.write_row(values)
        return
    statement = str(insert(table).compile(dialect=_DIALECT, column_keys=list(columns)))
    order = [columns.index(c.key) for c in table.__table__.columns if c.key in columns]
    arranged = itemgetter(*order)
    ready = []
    for row in rows:
        values = list(row)
        for at in texts:
            values[at] = _dumps(values[at])
        for at in times:
            values[at] = _moment(values[at])
        ready.append(arranged(values))
    if ready:
        connection.exec_driver_sql(statement, ready)


def among(session: Session, column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    """`column IN values` with one bound parameter, however many values there are."""
    if session.get_bind().dialect.name == "postgresql":
        return cast("ColumnElement[bool]", column == any_(literal(list(values), ARRAY(String))))
    each = func.json_each(_dumps(list(values))).table_valued("value")
    return cast("ColumnElement[bool]", column.in_(select(each.c.value)))


def insert_ignoring(session: Session, table: type[Base]) -> Any:
    """INSERT that leaves a row alone that breaks a unique constraint (both dialects spell it alike)."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


@lru_cache(64)
def _moment(value: datetime) -> Any:
    """As the column's own type writes it; the same few moments come in thousands of rows."""
    processor = UtcDateTime().dialect_impl(_DIALECT).bind_processor(_DIALECT)
    assert processor is not None
    return processor(value)
