"""A person whose every value is easily recognised, in every place that can hold one, and the search for them.

The search looks past all of our own code: at the bytes of files, and at rows by plain SQL.
"""

from __future__ import annotations

import json
import quopri
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pigeonry.config import Home
from pigeonry.prove.delivered import Ask
from pigeonry.store.base import Base
from pigeonry.store.people import PLACES
from pigeonry.store.session import Database, Session

EMAIL = "canar.unu@exemplu-ascuns.ro"
FIELDS = {
    "email": EMAIL,
    "first name": "Canarița",
    "last name": "Ascunsă-Zburătoare",
    "company": "Colivia Secretă SRL",
    "phone": "+40 721 998 877",
    "city": "Valea Canarului",
    "external id": "crm-canar-4711",
}
CANARIES = {**FIELDS, **{f"note {n}": f"canar-nota-{n:02d}-ștearsă" for n in range(43)}}
SAID = " / ".join(CANARIES.values())
_SHORTEST = 80
LINKED = frozenset({"lead_id", "message_id", "address_hash"})
# Filled by the doors themselves; a stop would keep the mails back that are to be sent.
_REAL = frozenset(
    {"lead", "consent", "message", "message_attempt", "event", "raw_event", "suppression"}
)
# Where a person may stand without being linked: the columns in which one may be spoken of.
_SPOKEN = {
    "lead_vector": (),
    "raw_event": ("body", "headers", "error"),
    "job": ("payload", "result"),
    "import_run": ("file_name",),
    "upload": ("file_name",),
    "llm_call": ("proposal", "reason"),
    "completion_cache": ("response",),
    "check_result": ("detail",),
}


def linked() -> set[str]:
    """Tables whose rows belong to a person: a walk over the schema."""
    return {
        name
        for name, table in Base.metadata.tables.items()
        if LINKED & set(table.columns.keys()) or name == "lead"
    }


def fill_tables(database: Database, ids: dict[str, Any]) -> list[str]:
    """Name the person once more in every table of `store.people.PLACES` that has a place for one. `ids` are the
    person's own, by column. Returns the tables for which nobody has said here where that is."""
    unknown, ours = [], linked()
    with database.write() as session:
        for name in [name for name, what in PLACES.items() if what]:
            if name not in ours and name not in _SPOKEN:
                unknown.append(name)
            elif name not in _REAL:
                _add(session, name, ids, None if name in ours else _SPOKEN[name])
        asked = {"lead_id": ids["lead_id"], "send_key": "f" * 32, "source": SAID}
        _add(
            session, "job", {"kind": "opt-in-mail", "state": "sent", "payload": asked}, ("result",)
        )
    return unknown


def _add(session: Session, name: str, ids: dict[str, Any], spoken: Iterable[str] | None) -> int:
    """A row whose texts, or those that are `spoken`, say everything of the person; the key of what is new."""
    table: Any = Base.metadata.tables[name]
    row: dict[str, Any] = {}
    for column in table.columns:
        own = column.primary_key and column.autoincrement is True
        told = spoken is None or column.name in spoken
        if own or (
            column.nullable and column.name not in ids and not (told or column.foreign_keys)
        ):
            continue
        if column.name in ids:
            row[column.name] = ids[column.name]
        elif column.foreign_keys:
            [key] = column.foreign_keys
            found = session.execute(key.column.table.select().limit(1)).mappings().first()
            if found is None and column.nullable:
                continue
            row[column.name] = (
                found[key.column.name] if found else _add(session, key.column.table.name, {}, ())
            )
        else:
            row[column.name] = _value(column, SAID if told else "")
    done: Any = session.execute(table.insert().values(**row))
    return int((done.inserted_primary_key or (0,))[0] or 0)


def _value(column: Any, said: str) -> Any:
    kind = type(column.type).__name__
    if kind == "JSON":
        return {"said": [said, "and more"]}
    if kind == "UtcDateTime":
        return datetime.now(UTC)
    if kind == "LargeBinary":
        return said.encode()
    if column.type.python_type is str:
        # What is short says which kind of thing a row is, and speaks of nobody.
        longest = column.type.length or len(said)
        return said[:longest] if longest >= _SHORTEST else said[:1]
    return column.type.python_type(1)


def fill_files(home: Home) -> None:
    """What programs beside us leave in a home: reports, caches, logs, uploads, Prefect's own database."""
    for folder in ("logs", "uploads", "prefect"):
        (home.path / folder).mkdir(exist_ok=True)
    home.reports.mkdir(exist_ok=True)
    (home.reports / "campaign-1.html").write_text(f"<p>Ex.: {SAID}</p>", encoding="utf-8")
    (home.path / "logs" / "web.log").write_text(f"1 {SAID}\n2 fine\n", encoding="utf-8")
    (home.path / "prefect" / "worker.log").write_text(f"1 {EMAIL}\n2 fine\n", encoding="utf-8")
    (home.path / "uploads" / "list.csv").write_text(f"email,n\n{EMAIL},1\nion@exemplu.ro,2\n")
    with sqlite3.connect(home.path / "prefect" / "prefect.db") as prefect:
        prefect.execute("PRAGMA journal_mode=WAL")
        prefect.execute("CREATE TABLE flow_run (id TEXT, name TEXT, parameters TEXT)")
        prefect.execute("CREATE TABLE log (id TEXT, name TEXT, message TEXT)")
        said = json.dumps({"path": SAID, "n": 1})
        prefect.execute("INSERT INTO flow_run VALUES ('1', 'busy-owl', ?)", (said,))
        prefect.executemany(
            "INSERT INTO log VALUES (?, 'flow', ?)", [("1", f"importing {SAID}"), ("2", SAID * 50)]
        )
        prefect.execute("DELETE FROM log WHERE id = '2'")
    prefect.close()


def spellings() -> Iterator[bytes]:
    """Every value as it stands in text, in JSON and in a mail, in small letters."""
    for value in CANARIES.values():
        for text in (value, json.dumps(value)[1:-1], quopri.encodestring(value.encode()).decode()):
            yield text.lower().encode()


def in_files(*places: Path) -> list[str]:
    """Names of files below these folders, or these files, that show the person."""
    found, looked = [], tuple(spellings())
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                data = path.read_bytes().lower()
                if any(text in data for text in looked):
                    found.append(path.name)
    return found


def in_tables(ask: Ask, url: str) -> list[str]:
    """Names of tables that show the person, whatever tables there are."""
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if url.startswith("sqlite")
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    return sorted(name for (name,) in ask(names) if _rows_show(ask(f'SELECT * FROM "{name}"')))  # noqa: S608


def _rows_show(rows: list[tuple[Any, ...]]) -> bool:
    looked = tuple(spellings())
    for row in rows:
        cells = (
            cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "replace")
            for cell in row
        )
        data = b"\0".join(cells).lower()
        if any(text in data for text in looked):
            return True
    return False
