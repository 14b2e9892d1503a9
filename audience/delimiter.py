"""Which character separates the cells: the one by which most rows have as many cells as the header."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence

from pigeonry.errors import BadInput

CANDIDATES = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_WORDS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_LINES = 300


def sniff(text: str, *, where: str, knows: Callable[[Sequence[str]], bool]) -> str:
    """The delimiter of a text that starts with the header. Quoted cells are respected.

    `knows` says whether a header has a column that an import needs; it decides between two delimiters
    that fit equally well. Raises BadInput where it cannot. A file of one column gives a comma.
    """
    fits: list[tuple[float, str]] = []
    for delimiter in CANDIDATES:
        rows = _rows(text, delimiter)
        if not rows or len(rows[0]) < 2:
            continue
        width = len(rows[0])
        share = sum(len(row) == width for row in rows) / len(rows)
        counts = Counter(map(len, rows))
        spread = share if counts.most_common(1)[0][0] == width else share / 2
        fits.append((spread + (1.0 if knows(rows[0]) else 0.0), delimiter))
    if not fits:
        return ","
    fits.sort(reverse=True)
    if len(fits) > 1 and fits[0][0] - fits[1][0] < 0.1:
        first, second = (NAMES[delimiter] for _, delimiter in fits[:2])
        raise BadInput(
            f"cells may be separated by {first} or by {second}: both fit",
            where=where,
            fix=f"say which with --delimiter, for example --delimiter {first}",
        )
    return fits[0][1]


def named(text: str, *, where: str) -> str:
    """A delimiter as somebody typed it: one character, or comma, semicolon, tab, pipe."""
    found = _WORDS.get(text.lower(), text)
    if len(found) != 1 or found in '"\r\n\0' or found.isalnum():
        raise BadInput(
            f"{text!r} cannot separate cells",
            where=where,
            fix="write one character, or comma, semicolon, tab, pipe",
        )
    return found


def _rows(text: str, delimiter: str) -> list[list[str]]:
    """The first complete, non-empty rows; the last one may be cut off and is left out."""
    found: list[list[str]] = []
    lines = text.splitlines(keepends=True)[: _LINES + 1]
    if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")) and len(text) >= 1 << 16:
        lines = lines[:-1]
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if row and any(row):
                found.append(row)
    except csv.Error:  # a cell longer than csv's own limit: what was read so far has to do
        pass
    return found
