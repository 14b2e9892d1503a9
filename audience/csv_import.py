"""A CSV file as a table: opened, recognised and streamed. What its cells mean is `audience.understand`'s.

Nothing is kept but one record at a time; each pass over the file reads it from the start.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from audience import delimiter as delimiters
from audience import headers
from audience.encoding import Encoding, Look, look
from audience.rows import LOST, Limits, Lines, Record, records
from audience.source import open_bytes
from pigeonry.errors import BadInput

_SAMPLE = 1 << 17  # characters that the delimiter is looked for in


def _lost(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return LOST, error.end


codecs.register_error("pigeonry.lost", _lost)


@dataclass(frozen=True, slots=True)
class Table:
    """A recognised file. `skip` lines come before the header (Excel's `sep=;`), `header_line` is the
    physical line of the header; `digest` the sha256 of the unpacked bytes."""

    path: Path
    encoding: Encoding
    delimiter: str
    header: tuple[str, ...]
    size: int
    digest: str
    limits: Limits
    skip: int
    stamp: tuple[int, int]

    def records(self) -> Iterator[Record]:
        """Every record below the header that is not blank; broken ones carry a problem.

        Raises BadInput when the file was changed since it was opened.
        """
        if _stamp(self.path) != self.stamp:
            raise BadInput(
                "the file was changed while it was being read",
                where=self.path.name,
                fix="wait until it is written, then import it again",
            )
        with _text(self.path, self.encoding) as stream:
            lines = Lines(stream, self.limits.line)
            for _ in range(self.skip):
                lines.next()
            head = next(records(lines, self.delimiter, width=None, limits=self.limits))
            yield from records(
                lines,
                self.delimiter,
                width=len(self.header),
                limits=self.limits,
                row=self.skip + head.row,
            )


def open_table(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    limits: Limits | None = None,
    seen: Look | None = None,
) -> Table:
    """Recognise a file. `encoding` and `delimiter` override what would be detected; `seen` is what an
    earlier reading of the same bytes showed, so that they need not be read whole again.

    Raises BadInput for whatever is no table: empty, binary, a spreadsheet, one endless line.
    """
    limits = limits or Limits()
    where = path.name
    stamp = _stamp(path)
    if seen is None or encoding is not None:
        with open_bytes(path) as stream:
            seen = look(stream, override=encoding, where=where)
    with _text(path, seen.encoding) as text:
        sample = text.read(_SAMPLE)
    skip, told = _told(sample)
    if delimiter is not None:
        found = delimiters.named(delimiter, where=where)
    elif told:
        found = told
    else:
        found = delimiters.sniff(sample, where=where, knows=headers.known)
    header = _header(path, seen.encoding, found, limits, skip)
    return Table(path, seen.encoding, found, header, seen.size, seen.digest, limits, skip, stamp)


def _header(
    path: Path, encoding: Encoding, delimiter: str, limits: Limits, skip: int
) -> tuple[str, ...]:
    where = f"{path.name}, line {skip + 1}"
    with _text(path, encoding) as stream:
        lines = Lines(stream, limits.line)
        for _ in range(skip):
            lines.next()
        head = next(records(lines, delimiter, width=None, limits=limits), None)
        if head is None:
            raise BadInput("the file is empty", where=path.name, fix="export the list again")
        if head.problem is not None:
            fix = "check that it is a CSV file with the names of the columns in its first line"
            if head.problem.code == "line_too_long":
                fix = "its line ends may be missing, or this is no CSV file: export it again"
            raise BadInput(head.problem.reason, where=where, fix=fix)
        if next(records(lines, delimiter, width=None, limits=limits), None) is None:
            raise BadInput(
                "there is a header and not a single row below it",
                where=path.name,
                fix="export the list again; nothing was changed",
            )
    return tuple(cell.strip() for cell in head.cells)


def _told(sample: str) -> tuple[int, str]:
    """Excel's own first line `sep=;`: (lines to skip, delimiter)."""
    first, _, _ = sample.partition("\n")
    first = first.strip("\r\"' ")
    if first[:4].lower() == "sep=" and len(first) == 5:
        return 1, first[4]
    return (1, "\t") if sample[:5].lower() == "sep=\t" else (0, "")


@contextmanager
def _text(path: Path, encoding: Encoding) -> Iterator[TextIO]:
    """Decoded, line ends untouched; bytes that make no letter stay recognisable."""
    wide = encoding.name.replace("_", "-").startswith(("utf-16", "utf-32"))
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(
            stream,
            encoding=encoding.name,
            errors="pigeonry.lost" if wide else "surrogateescape",
            newline="",
        )
        try:
            yield text
        finally:
            text.detach()


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
