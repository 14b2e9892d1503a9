"""What an uploaded file seems to be: its first rows, its columns with suggestions, and what a person chose."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from audience.aliases import Field
from audience.csv_import import Table, open_table
from audience.evidence import NEEDED, proof
from audience.headers import map_columns
from audience.rows import Limits
from audience.suggest import Suggestion, suggest
from pigeonry.config import Home
from pigeonry.domain import ConsentClaim
from pigeonry.errors import BadInput, NotFound, Refused, WrongUse
from pigeonry.service.leads import parse_claim
from pigeonry.service.uploads import called, file_of, seen, show
from pigeonry.store import consent_texts, uploads
from pigeonry.store.session import Database
from pigeonry.store.uploads import Upload

FIELDS = tuple(field.value for field in Field)
ENCODINGS = ("utf-8", "windows-1250", "windows-1252", "iso-8859-2", "iso-8859-16", "utf-16")
EVIDENCE = tuple(NEEDED)
_ROWS, _SAMPLE = 8, 200  # rows that are shown, rows that suggestions look at
_CELL = 80  # characters of a cell that are shown


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it is taken for, what else speaks for it, and the first values in it."""

    number: int
    name: str
    field: str
    suggestion: Suggestion
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """`problem` says why the file cannot be read with these choices; there are no columns then."""

    encoding: str
    confidence: float
    note: str
    delimiter: str
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    problem: WrongUse | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person decided about an upload. "" leaves it to what was detected; `mapping` is
    column number -> field; `basis` "" means that nobody is mailed because of this file."""

    encoding: str = ""
    delimiter: str = ""
    mapping: Mapping[int, str] | None = None
    basis: str = ""
    source: str = ""
    text_version: str = ""
    evidence: Mapping[str, str] | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The mapping as an import takes it."""
        return {f"#{number}": field for number, field in sorted((self.mapping or {}).items())}

    def claim(self) -> ConsentClaim | None:
        """What was agreed for the whole file. Raises WrongUse for a basis that is none, or no source."""
        if not self.basis:
            return None
        version = f"@{self.text_version}" if self.text_version else ""
        parts = "; ".join(
            f"{name}={value.replace(';', ',')}"
            for name, value in (self.evidence or {}).items()
            if value
        )
        return parse_claim(f"{self.basis}:{self.source.replace('@', ' ')}{version}", parts)


def choices_of(upload: Upload) -> Choices:
    kept: Mapping[str, Any] = upload.choices
    mapping = {int(number): str(field) for number, field in kept.get("mapping", {}).items()}
    return Choices(
        encoding=kept.get("encoding", ""),
        delimiter=kept.get("delimiter", ""),
        mapping=mapping or None,
        basis=kept.get("basis", ""),
        source=kept.get("source", ""),
        text_version=kept.get("text_version", ""),
        evidence=kept.get("evidence") or None,
    )


def preview(home: Home, upload: Upload, choices: Choices | None = None) -> Preview:
    """The file's beginning as it would be read. Raises NotFound when the file is gone."""
    choices = choices or choices_of(upload)
    known = seen(upload).encoding
    shown = Preview(choices.encoding or known.name, known.confidence, known.note, choices.delimiter)
    if choices.encoding:
        shown = replace(shown, confidence=1.0, note="")
    path = _file(home, upload)
    try:
        with called(path, upload.file_name):
            table = _table(home, path, upload, choices)
            rows = [
                tuple(record.cells)
                for record in itertools.islice(table.records(), _SAMPLE)
                if record.problem is None
            ]
    except (BadInput, WrongUse) as error:
        return replace(shown, problem=error)
    suggestions = suggest(table.header, rows)
    fields, problem = _fields(table, upload, choices, suggestions)
    columns = tuple(
        Column(
            number,
            _short(name),
            fields[number - 1],
            suggestions[number - 1],
            tuple(_short(row[number - 1]) for row in rows[:3] if row[number - 1].strip()),
        )
        for number, name in enumerate(table.header, 1)
    )
    return replace(
        shown,
        delimiter=table.delimiter,
        columns=columns,
        rows=tuple(tuple(_short(cell) for cell in row) for row in rows[:_ROWS]),
        problem=problem,
    )


def choose(db: Database, home: Home, upload_id: int, choices: Choices, *, now: datetime) -> Upload:
    """Keep what a person decided. Raises WrongUse or BadInput when an import could not go by it, Refused
    when the file was imported already."""
    upload = show(db, upload_id)
    if upload.state == uploads.IMPORTED:
        raise Refused("it was imported already", where=f"upload {upload_id}", fix="upload it again")
    path = _file(home, upload)
    with called(path, upload.file_name):
        table = _table(home, path, upload, choices)
        map_columns(table.header, choices.columns, where=path.name)
    refuse_claim(db, choices, now=now)
    kept = {
        "encoding": choices.encoding,
        "delimiter": choices.delimiter,
        "mapping": {str(number): field for number, field in (choices.mapping or {}).items()},
        "basis": choices.basis,
        "source": choices.source[:200],
        "text_version": choices.text_version,
        "evidence": dict(choices.evidence or {}),
    }
    with db.write() as session:
        uploads.choose(session, upload_id, kept)
    return show(db, upload_id)


def refuse_claim(db: Database, choices: Choices, *, now: datetime) -> None:
    """Raises WrongUse for a consent that could not count: no basis, no source, no evidence, no such text."""
    claim = choices.claim()
    if claim is None:
        return
    if choices.text_version:
        with db.read() as session:
            if consent_texts.get(session, choices.text_version) is None:
                raise WrongUse(
                    f"there is no consent text {choices.text_version}", where="text_version"
                )
    if choices.evidence and any(choices.evidence.values()):
        _, missing = proof({k: v for k, v in choices.evidence.items() if v}, now)
        if missing:
            raise WrongUse(f"an existing customer needs evidence: {missing}", where="evidence")


def _table(home: Home, path: Path, upload: Upload, choices: Choices) -> Table:
    limit = home.settings.audience.max_field_kb * 1024
    return open_table(
        path,
        encoding=choices.encoding or None,
        delimiter=choices.delimiter or None,
        limits=Limits(cell=limit, line=max(1 << 20, 2 * limit)),
        seen=seen(upload),
    )


def _fields(
    table: Table, upload: Upload, choices: Choices, suggestions: list[Suggestion]
) -> tuple[list[str], WrongUse | None]:
    """(field of each column, why an import would refuse them). Where the names alone do not do, the
    suggestions are shown for a person to confirm."""
    try:
        found = map_columns(table.header, choices.columns, where=upload.file_name)
        return [field.value for field in found.fields], None
    except (BadInput, WrongUse) as error:
        fields = []
        for number, suggestion in enumerate(suggestions, 1):
            chosen = (choices.mapping or {}).get(number)
            guess = suggestion.field.value
            twice = guess in fields and guess != Field.ATTRIBUTE.value
            fields.append(chosen or (Field.ATTRIBUTE.value if twice else guess))
        return fields, error


def _file(home: Home, upload: Upload) -> Path:
    path = file_of(home, upload)
    if upload.gone_at is not None or not path.exists():
        raise NotFound(
            "the file is no longer kept", where=f"upload {upload.id}", fix="upload it again"
        )
    return path


def _short(cell: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in cell[: _CELL + 1])
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"
