"""What came of bodies of events that were taken in."""

from __future__ import annotations

from dataclasses import dataclass

from feedback.events import EventError

ERRORS_KEPT = 100


@dataclass(frozen=True, slots=True)
class IngestReport:
    """received = applied + duplicate + rejected. `unmatched` (among applied) spoke of no message and
    nobody we know; `proven` messages are now known to have left; `alerts` are for the operator's eyes.
    `forgotten` bodies spoke of people who were erased, and keep nothing of that."""

    received: int = 0
    duplicate: int = 0
    applied: int = 0
    rejected: int = 0
    errors: tuple[EventError, ...] = ()
    unmatched: int = 0
    suppressed: int = 0
    proven: int = 0
    alerts: tuple[str, ...] = ()
    forgotten: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(
            self.received + other.received,
            self.duplicate + other.duplicate,
            self.applied + other.applied,
            self.rejected + other.rejected,
            (self.errors + other.errors)[:ERRORS_KEPT],
            self.unmatched + other.unmatched,
            self.suppressed + other.suppressed,
            self.proven + other.proven,
            self.alerts + other.alerts,
            self.forgotten + other.forgotten,
        )
