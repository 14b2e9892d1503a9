"""What arrived, from the far end's log; and what our own tables say of the rest. Never the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What a message may say when the far end never saw it: everything else would be a silent loss.
_SHOWN = frozenset({"failed", "cancelled", "parked", "unknown"})


@dataclass(frozen=True, slots=True)
class Arrival:
    at: float
    key: str
    began: float


@dataclass(frozen=True, slots=True)
class Count:
    """`lost` were never seen at the far end and do not show as failed, cancelled, parked or unknown."""

    messages: int
    arrived: int
    duplicates: int
    foreign: int
    lost: int
    accepted: int
    failed: int
    cancelled: int
    parked: int
    unknown: int

    @property
    def clean(self) -> bool:
        return not (self.duplicates or self.lost or self.foreign)


def arrivals(log: Path) -> list[Arrival]:
    """Every acceptance that the far end wrote down, in order. A cut last line was never answered."""
    lines = log.read_text(encoding="ascii").split("\n")[1:-1]
    return [
        Arrival(float(at), key, float(began)) for at, key, began in (line.split() for line in lines)
    ]


def outbox_arrivals(outbox: Path) -> list[Arrival]:
    """The file channel's far end: every whole mail that lies in the outbox."""
    return [
        Arrival(path.stat().st_mtime, path.stem, path.stat().st_mtime)
        for path in outbox.rglob("*.eml")
    ]


def count(seen: list[Arrival], states: Mapping[str, str]) -> Count:
    times = Counter(arrival.key for arrival in seen)
    by_state = Counter(states.values())
    return Count(
        messages=len(states),
        arrived=len(times.keys() & states.keys()),
        duplicates=sum(number - 1 for number in times.values()),
        foreign=len(times.keys() - states.keys()),
        lost=sum(state not in _SHOWN for key, state in states.items() if key not in times),
        accepted=by_state["accepted"],
        failed=by_state["failed"],
        cancelled=by_state["cancelled"],
        parked=by_state["parked"],
        unknown=by_state["unknown"],
    )
