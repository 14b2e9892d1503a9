"""The list of rows and cells that an import did not take, as a CSV that can be mended and sent again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from audience.formula import neutralise
from pigeonry.domain import RowError

_KEPT = 1000  # errors that the report itself carries
_COLUMNS = ("line", "row", "column", "value", "code", "reason")


class ErrorFile:
    """Made with the first error; it has its final name only when `close` was called.

    With `path` None nothing is written and errors are only counted and kept.
    """

    def __init__(self, path: Path | None, header: Sequence[str]) -> None:
        self.count = 0
        self.kept: list[RowError] = []
        self._path = path
        self._header = header
        self._file: TextIO | None = None
        self._writer: Any = None

    def add(self, error: RowError, cells: Sequence[str]) -> None:
        """`cells` are the row's original ones; empty where they must not be kept."""
        self.count += 1
        if len(self.kept) < _KEPT:
            self.kept.append(error)
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # With a byte order mark, or a spreadsheet shows the Romanian letters wrongly.
            self._file = self._part.open(
                "w", encoding="utf-8-sig", errors="backslashreplace", newline=""
            )
            self._writer = csv.writer(self._file)
            self._writer.writerow([*_COLUMNS, *map(neutralise, self._header)])
        self._writer.writerow(
            [
                error.line,
                error.row,
                *map(neutralise, (error.column, error.value, error.code, error.reason)),
                *(neutralise(cell.replace("\x00", "")) for cell in cells),
            ]
        )

    def close(self) -> Path | None:
        """Give the file its name; None when there was no error."""
        if self._file is None or self._path is None:
            return None
        self._file.close()
        self._part.replace(self._path)
        self._file = None
        return self._path

    def discard(self) -> None:
        """Remove what an interrupted import left."""
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
            self._file = None

    @property
    def _part(self) -> Path:
        assert self._path is not None
        return self._path.with_suffix(".part")
