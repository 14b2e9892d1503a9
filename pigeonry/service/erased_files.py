"""Files of a home in which an erased person may stand: mails, reports, logs. The marketer's own files stay."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pigeonry.config import Home
from pigeonry.domain.traces import Traces
from pigeonry.store import bodies
from pigeonry.store.erasing import Subject

_UNFINISHED = ".unfinished"
# Folders that we write, beside the outbox (found by key) and Prefect's database (`prefect_records`).
# Not `handovers`: a sender may be writing its journal, and a lost line could make a mail leave twice. It holds
# random keys and outcomes, and nobody's name.
_OURS = ("reports", "simulated", "logs", "prefect", "uploads", "jobs")
_LINES = frozenset({".log", ".jsonl", ".txt"})
_NOT_TEXT = frozenset({".db", ".db-wal", ".db-shm", ".db-journal"})


@dataclass(slots=True)
class Files:
    """Paths below the home. `left` are files that nobody here may change."""

    deleted: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.deleted) + len(self.struck)


def erase_mails(home: Home, person: Subject) -> Files:
    """The mails that the file channel wrote, finished or not."""
    found = Files()
    for campaign_id, key in person.mails:
        folder = home.outbox / f"campaign-{campaign_id}"
        for path in (
            *home.outbox.glob(f"{key}*"),
            folder / f"{key}.eml",
            *(folder / _UNFINISHED).glob(f"{key}-*"),
        ):
            if path.is_file():
                path.unlink()
                found.deleted.append(_name(home, path))
    return found


def erase_traces(home: Home, person: Subject) -> Files:
    """Rows of error files, lines of logs and elements of lists go; any other file of ours that shows the person is deleted.

    A file of somebody else in the home (a list that was imported from there) is only named.
    """
    found, marks = Files(), person.marks
    for path in _ours(home):
        if not _shows(path, marks):
            continue
        if path.suffix == ".csv":
            _strike_rows(path, marks)
            found.struck.append(_name(home, path))
        elif path.suffix in _LINES:
            _strike_lines(path, marks)
            found.struck.append(_name(home, path))
        elif path.suffix == ".json" and (left := _elements(path, marks)):
            path.write_bytes(left)
            found.struck.append(_name(home, path))
        else:
            path.unlink()
            found.deleted.append(_name(home, path))
    for path in sorted(home.path.iterdir()):
        ours = path.suffix in _NOT_TEXT or path.name.startswith(".")
        if path.is_file() and not ours and _shows(path, person.traces):
            found.left.append(_name(home, path))
    return found


def _ours(home: Home) -> Iterator[Path]:
    for name in _OURS:
        for path in sorted((home.path / name).rglob("*")):
            if path.is_file() and path.suffix not in _NOT_TEXT:
                yield path


def _shows(path: Path, marks: Traces) -> bool:
    """Looks at the file piece by piece, with an overlap longer than any value."""
    size, overlap = 1 << 22, 4096
    with path.open("rb") as file:
        tail = b""
        while part := file.read(size):
            if marks.within_bytes(tail + part):
                return True
            tail = part[-overlap:]
    return False


def _strike_rows(path: Path, marks: Traces) -> None:
    part = path.with_suffix(".part")
    with (
        path.open(encoding="utf-8-sig", newline="") as file,
        part.open("w", encoding="utf-8-sig", newline="") as out,
    ):
        writer = csv.writer(out)
        for row in csv.reader(file):
            if not any(marks.within(cell) for cell in row):
                writer.writerow(row)
    part.replace(path)


def _strike_lines(path: Path, marks: Traces) -> None:
    """In place: a program that has the file open goes on writing at its end."""
    with path.open("r+b") as file:
        lines = [line for line in file if not marks.within_bytes(line)]
        file.seek(0)
        file.writelines(lines)
        file.truncate()


def _elements(path: Path, marks: Traces) -> bytes:
    """A list of events without the person's; b"" when the file is no list."""
    return bodies.without("", path.read_bytes(), marks.within)


def _name(home: Home, path: Path) -> str:
    return str(path.relative_to(home.path))
