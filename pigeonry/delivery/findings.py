"""What a look at a mail, a sender or a domain found, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    MUST = "must"  # mail that fails this is refused, unlawful or cannot be left
    SHOULD = "should"  # it leaves, and reaches fewer


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is the next step, "" when all is well. `known` is False where nobody could look."""

    name: str
    ok: bool
    severity: Severity
    detail: str
    fix: str = ""
    known: bool = True

    @property
    def stops(self) -> bool:
        return not self.ok and self.severity is Severity.MUST


def found(name: str, problem: str, *, good: str, severity: Severity, fix: str) -> Finding:
    """All is well when there is no problem."""
    if problem:
        return Finding(name, False, severity, problem, fix)
    return Finding(name, True, severity, good)
