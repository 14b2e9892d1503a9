"""How long work says where it stands."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called often. `total` is None where nobody can know it; units are named by `label`."""

    def __call__(self, label: str, done: int, total: int | None = None) -> None: ...


def silent(label: str, done: int, total: int | None = None) -> None:
    """Say nothing."""
