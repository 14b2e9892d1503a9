"""Records of a delimited text with their spreadsheet row and physical line; a broken one never takes
its neighbours along. Knows nothing of what the cells mean.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TextIO

# What the decoder leaves where bytes make no letter: surrogateescape, and LOST for UTF-16.
LOST = "\ud800"
_BAD = re.compile("[\udc80-\udcff\ud800]")
_DISCARD = 1 << 20


class Problem(NamedTuple):
    """Why a record cannot be taken. `column` is an index, -1 for the whole row."""

    code: str
    reason: str
    column: int = -1
    value: str = ""


class Record(NamedTuple):
    """`row` as a spreadsheet counts it (header = 1), `line` the physical line where it starts."""

    row: int
    line: int
    cells: list[str]
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """In characters: of one cell, and of one physical line."""

    cell: int = 64 * 1024
    line: int = 1 << 20


class Lines:
    """Physical lines with their numbers, a way to give some back, and a bound on each."""

    def __init__(self, stream: TextIO, longest: int) -> None:
        self._read = stream.readline
        self._longest = longest
        self._back: deque[tuple[int, str]] = deque()
        self._number = 0
        self.number = 0
        self.too_long = False

    def next(self) -> str:
        """The next line with its end, "" after the last. A line beyond the bound comes cut, with
        `too_long` set, and its rest is skipped."""
        self.too_long = False
        if self._back:
            self.number, text = self._back.popleft()
            return text
        text = self._read(self._longest)
        if not text:
            return ""
        self._number += 1
        self.number = self._number
        if len(text) >= self._longest and text[-1] not in "\r\n":
            self.too_long = True
            while (rest := self._read(_DISCARD)) and rest[-1] not in "\r\n":
                pass
        return text

    def give_back(self, lines: list[tuple[int, str]]) -> None:
        self._back.extendleft(reversed(lines))


def records(
    lines: Lines, delimiter: str, *, width: int | None, limits: Limits, row: int = 0
) -> Iterator[Record]:
    """Every record that is not blank. With a `width`, records of another length carry a problem;
    `row` is the number of the row before the first one.

    Quoting is that of RFC 4180 and of Python's csv: a quotation mark opens a cell only as its first
    character. A cell that is opened and never closed costs its own line; the lines that it swallowed
    are read again as rows.
    """
    while text := lines.next():
        row += 1
        number = lines.number
        if lines.too_long:
            yield Record(row, number, [], _line_too_long(limits))
            continue
        problem = None
        if '"' not in text:
            body = text.rstrip("\r\n")
            if not body:
                continue
            cells = body.split(delimiter)
        else:
            found = _quoted(lines, text, number, delimiter, width, limits)
            if isinstance(found, Problem):
                yield Record(row, number, [], found)
                continue
            text, cells = found
        if width is not None and len(cells) != width:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
                del cells[width:]  # a spreadsheet's trailing separators
            else:
                problem = _wrong_width(len(cells), width)
        if len(text) > limits.cell:
            problem = problem or _long_cell(cells, limits)
        if not text.isascii() and _BAD.search(text):
            problem = problem or _bad_letter(cells)
        if "\x00" in text:
            problem = problem or _nul(cells)
        yield Record(row, number, cells, problem)


def _quoted(
    lines: Lines, text: str, number: int, delimiter: str, width: int | None, limits: Limits
) -> tuple[str, list[str]] | Problem:
    """A record with quotation marks, over as many lines as it takes."""
    if text.count('"') % 2 == 0 and text[-1] in "\r\n":
        cells = _parse(text, delimiter)
        # A cell left open would have kept the end of the line.
        if cells is not None and cells[-1][-1:] not in ("\r", "\n"):
            return text, cells
    is_open, spoiled = _scan(text, False, delimiter)
    if not is_open:
        return text, _parse(text, delimiter) or []
    parts = [text]
    taken: list[tuple[int, str]] = []
    cell = total = len(text)
    while is_open:
        more = lines.next()
        if more:
            taken.append((lines.number, more))
        cell += len(more)
        total += len(more)
        if not more or lines.too_long or cell > limits.cell or total > limits.line:
            lines.give_back(taken)
            return _unclosed(text, number, delimiter, "never")
        parts.append(more)
        if '"' in more:
            is_open, junk = _scan(more, True, delimiter)
            spoiled = spoiled or junk
            cell = len(more)
    whole = "".join(parts)
    cells = _parse(whole, delimiter)
    if cells is None or spoiled or (width is not None and len(cells) != width):
        lines.give_back(taken)
        return _unclosed(text, number, delimiter, "not")
    return whole, cells


def _scan(text: str, quoted: bool, delimiter: str) -> tuple[bool, bool]:
    """(whether a quoted cell is still open at the end, whether text follows a closing mark)."""
    at = 0
    spoiled = False
    while True:
        if quoted:
            mark = text.find('"', at)
            if mark < 0:
                return True, spoiled
            if text[mark + 1 : mark + 2] == '"':
                at = mark + 2
                continue
            quoted = False
            at = mark + 1
            if text[at : at + 1] not in ("", delimiter, "\r", "\n"):
                spoiled = True
        elif text.startswith('"', at):
            quoted = True
            at += 1
            continue
        comma = text.find(delimiter, at)
        if comma < 0:
            return False, spoiled
        at = comma + 1


def _parse(text: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([text], delimiter=delimiter))
    except (csv.Error, StopIteration):
        return None


def _unclosed(text: str, number: int, delimiter: str, how: str) -> Problem:
    cells = _parse(text, delimiter) or [""]
    value = cells[-1].rstrip("\r\n")
    return Problem(
        "unclosed_quote",
        f"the quotation mark that opens a cell in line {number} is {how} closed where it should be; "
        "the lines after it were read as rows of their own",
        len(cells) - 1,
        value,
    )


def _wrong_width(found: int, width: int) -> Problem:
    code = "too_few_cells" if found < width else "too_many_cells"
    return Problem(code, f"{found} cells where the header has {width}")


def _line_too_long(limits: Limits) -> Problem:
    return Problem(
        "line_too_long", f"the line is longer than {limits.line // 1024} kB and was skipped"
    )


def _long_cell(cells: list[str], limits: Limits) -> Problem | None:
    for index, cell in enumerate(cells):
        if len(cell) > limits.cell:
            return Problem(
                "cell_too_long",
                f"the cell is longer than {limits.cell // 1024} kB",
                index,
                cell[:200],
            )
    return None


def _bad_letter(cells: list[str]) -> Problem | None:
    for index, cell in enumerate(cells):
        if found := _BAD.search(cell):
            letter = found.group()
            what = "half a letter" if letter == LOST else f"byte 0x{ord(letter) - 0xDC00:02X}"
            return Problem(
                "invalid_bytes",
                f"{what} at character {found.start() + 1} is not valid in the file's encoding",
                index,
                cell,
            )
    return None


def _nul(cells: list[str]) -> Problem | None:
    for index, cell in enumerate(cells):
        if "\x00" in cell:
            return Problem("nul_byte", "a NUL byte in the cell", index, cell)
    return None
