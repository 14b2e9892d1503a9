"""Which of two values of a field is newer, whatever order they come in: the later revision wins, and of
two with the same revision always the same one. So every order of the same changes ends alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

Stamp = tuple[int, str]  # (revision, a digest of the value)


def newer(
    values: Mapping[str, str], revision: int, seen: Mapping[str, Stamp]
) -> tuple[dict[str, str], dict[str, Stamp]]:
    """(values that nothing newer has replaced, all stamps afterwards)."""
    stamps = dict(seen)
    found = {}
    for name, value in values.items():
        stamp = (revision, _digest(value))
        if stamp >= tuple(stamps.get(name, (0, ""))):
            stamps[name] = stamp
            found[name] = value
    return found, stamps


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:12]
