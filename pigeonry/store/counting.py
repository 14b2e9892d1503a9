"""How many rows each table has."""

from __future__ import annotations

from sqlalchemy import func, select

from pigeonry.store.models import Base
from pigeonry.store.session import Session


def rows(session: Session) -> dict[str, int]:
    return {
        name: session.scalar(select(func.count()).select_from(table)) or 0
        for name, table in Base.metadata.tables.items()
    }
