"""The words that people agree to, from files of the marketer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pigeonry.errors import BadInput
from pigeonry.store import consent_texts
from pigeonry.store.consent_texts import ConsentTextRow
from pigeonry.store.session import Database

_LONGEST = 10_000


def add_text(db: Database, path: Path, *, language: str, now: datetime) -> ConsentTextRow:
    """Store the text of a file. Surrounding space does not count; every other letter does."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"cannot read the text: {error}", where=str(path), fix="give a file in UTF-8"
        ) from error
    if not 0 < len(text) <= _LONGEST:
        raise BadInput(
            f"a text has 1 to {_LONGEST:,} characters, this one {len(text):,}", where=str(path)
        )
    with db.write() as session:
        version = consent_texts.add(session, language=language, text=text, at=now)
        found = consent_texts.get(session, version)
    assert found is not None
    return found


def list_texts(db: Database) -> list[ConsentTextRow]:
    """Oldest first."""
    with db.read() as session:
        return consent_texts.every(session)
