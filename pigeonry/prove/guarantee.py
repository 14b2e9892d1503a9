"""What a guarantee is: a promise, what it assumes, what breaks it, and a trial that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pigeonry.domain.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Setting:
    """How large the trials are, and on what."""

    seed: int = 1
    messages: int = 1000
    kills: int = 20
    channels: tuple[str, ...] = ("smtp", "sendgrid")
    databases: tuple[str, ...] = ("sqlite", "postgres")
    workers: int = 2
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trial of a guarantee: what it was about, whether the promise held, and the numbers."""

    trial: str
    held: bool
    numbers: dict[str, Any] = field(default_factory=dict)

    def words(self) -> str:
        return ", ".join(f"{name} {_shown(value)}" for name, value in self.numbers.items())


@dataclass(frozen=True, slots=True)
class Guarantee:
    """`name` as in the list of guarantees; `run` yields outcomes, or raises when it could not be tried."""

    name: str
    promise: str
    assumes: str
    breaks: str
    run: Callable[[Setting], list[Outcome]]


def _shown(value: Any) -> str:
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
