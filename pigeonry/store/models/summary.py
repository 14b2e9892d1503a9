"""What somebody worked out from many rows and kept, so that a page need not go over them again."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, moment, payload


class Summary(Base):
    """Numbers and names of groups, never of a person. `made_from` says which rows had been seen: when they
    are others now, it is out of date."""

    __tablename__ = "summary"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    made_from: Mapped[payload]
    facts: Mapped[payload]
    at: Mapped[moment]
