"""Takes in a CSV file of conversions: its rows become the JSON that the API takes, in bodies of bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from audience.aliases import ALIASES, Field
from audience.csv_import import Table, open_table
from audience.folding import fold
from feedback.events import CONVERSIONS, EventError
from pigeonry.config import Home
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import BadInput
from pigeonry.service.events import ingest_events
from pigeonry.service.ingest_report import IngestReport
from pigeonry.store.session import Database

_ROWS = 500  # in one stored body

# What shops and CRMs call these columns, folded, best names first.
_NAMES: Mapping[str, Sequence[str]] = {
    "email": ALIASES[Field.EMAIL],
    "send_key": ("send key", "pigeonry key"),
    "external_id": ALIASES[Field.EXTERNAL_ID],
    "at": (
        "at", "date", "data", "timestamp", "time", "ordered at", "order date", "created at", "paid at",
        "data comenzii", "data comanda", "data platii", "data si ora", "datetime",
    ),
    "value": (
        "value", "amount", "total", "revenue", "valoare", "valoarea", "suma", "order total", "price",
        "pret", "venit", "total comanda",
    ),
    "currency": ("currency", "moneda", "valuta", "currency code"),
    "id": (
        "id", "order id", "order", "order number", "transaction id", "conversion id", "comanda",
        "id comanda", "numar comanda", "nr comanda", "numarul comenzii",
    ),
    "name": ("name", "event", "conversion", "product", "produs", "eveniment", "conversie"),
}  # fmt: skip


def ingest_conversions(
    db: Database, home: Home, path: Path, *, now: datetime, progress: Progress = silent
) -> IngestReport:
    """Apply a file's rows, each once however often the file comes. Positions in errors are spreadsheet
    rows. Raises BadInput for a file that is no table or has no usable columns."""
    table = open_table(path)
    columns = _columns(table)
    report = IngestReport()
    wrong: list[EventError] = []
    for body, broken in _bodies(table, columns):
        wrong += broken
        if body != b"[]":
            report += ingest_events(db, home, body, source=CONVERSIONS, now=now)
        progress("rows", report.received + len(wrong))
    return report + IngestReport(received=len(wrong), rejected=len(wrong), errors=tuple(wrong))


def _columns(table: Table) -> dict[str, int]:
    """Field -> place of its column."""
    names = [fold(name) for name in table.header]
    found = {
        field: next((names.index(alias) for alias in aliases if alias in names), -1)
        for field, aliases in _NAMES.items()
    }
    found = {field: place for field, place in found.items() if place >= 0}
    missing = [] if "at" in found else ["a date (at)"]
    if not found.keys() & {"email", "send_key", "external_id"}:
        missing.insert(0, "a person (email, send_key or external_id)")
    if missing:
        raise BadInput(
            f"no column for {' and for '.join(missing)}",
            where=f"{table.path.name}, line 1",
            fix="name the columns email, at, value, currency, id; this file has: "
            + ", ".join(table.header)[:300],
        )
    return found


def _bodies(table: Table, columns: Mapping[str, int]) -> Iterator[tuple[bytes, list[EventError]]]:
    rows: list[dict[str, object]] = []
    broken: list[EventError] = []
    for record in table.records():
        if record.problem is not None:
            broken.append(EventError(record.row, record.problem.reason))
            continue
        cells = {field: record.cells[place].strip() for field, place in columns.items()}
        rows.append({"row": record.row, **{name: text for name, text in cells.items() if text}})
        if len(rows) == _ROWS:
            yield json.dumps(rows).encode(), broken
            rows, broken = [], []
    yield json.dumps(rows).encode(), broken
