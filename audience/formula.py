"""Cells that a spreadsheet would run: made harmless on the way out, and whole again on the way in."""

from __future__ import annotations

import re

_LEAD = "=+-@\t\r\n|%＝＋－＠"
_RISKY = re.compile(rf"\s*[{re.escape(_LEAD)}]")
# Phones, numbers and dashes: no letter, no bracketed call, so nothing that could run.
_PLAIN = re.compile(r"[+-]?[\d\s().,/\-]*(?:\s*(?:int|ext|x)\.?\s*\d+)?\Z")


def neutralise(text: str) -> str:
    """Put an apostrophe before a cell that starts like a formula, also after spaces or in full width.

    Phones (`+40 722 000 000`) and negative numbers stay as they are.
    """
    if not _RISKY.match(text) or _PLAIN.match(text):
        return text
    return f"'{text}"


def restore(text: str) -> str:
    """Take away the apostrophe that `neutralise` put there; other apostrophes stay."""
    if text.startswith("'") and _RISKY.match(text, 1) and not _PLAIN.match(text[1:]):
        return text[1:]
    return text
