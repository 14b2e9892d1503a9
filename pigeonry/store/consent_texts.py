"""The words that people agreed to, by version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from pigeonry.store.models import ConsentText
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class ConsentTextRow:
    version: str
    language: str
    text: str
    created_at: datetime


def version(text: str) -> str:
    """The first 16 hex digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def add(session: Session, *, language: str, text: str, at: datetime) -> str:
    """Store a text and return its version; one that is stored already keeps its language and time."""
    found = version(text)
    if session.get(ConsentText, found) is None:
        session.add(ConsentText(version=found, language=language, text=text, created_at=at))
        session.flush()
    return found


def get(session: Session, version: str) -> ConsentTextRow | None:
    row = session.get(ConsentText, version)
    return None if row is None else _row(row)


def newest(session: Session, language: str) -> ConsentTextRow | None:
    row = session.scalar(
        select(ConsentText)
        .where(ConsentText.language == language)
        .order_by(ConsentText.created_at.desc(), ConsentText.version)
        .limit(1)
    )
    return None if row is None else _row(row)


def every(session: Session) -> list[ConsentTextRow]:
    """Oldest first."""
    rows = session.scalars(
        select(ConsentText).order_by(ConsentText.created_at, ConsentText.version)
    )
    return [_row(row) for row in rows]


def _row(row: ConsentText) -> ConsentTextRow:
    return ConsentTextRow(row.version, row.language, row.text, row.created_at)
