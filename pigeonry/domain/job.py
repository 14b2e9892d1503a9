"""A job: work that takes longer than a request, done by a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({JobState.QUEUED, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its row says. `payload` and `result` hold ids and numbers, never people; `result["error"]`
    says what failed (code, what, where, fix). `total` 0: nobody knows it yet. `subject` is what it works on,
    for example "upload:3"; `attempts` counts the processes that took it."""

    id: int
    kind: str
    subject: str
    state: JobState
    payload: Mapping[str, Any]
    result: Mapping[str, Any]
    says: str
    done: int
    total: int
    asked_by: str
    attempts: int
    owner: str
    cancel_asked: bool
    lease_until: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def share(self) -> float | None:
        """How far it is, None while nobody knows."""
        if self.state is JobState.DONE:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else None
