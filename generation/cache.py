"""The exact cache: one answer for one request, asked for once however many want it.

Owns the key and the waiting. Where rows lie is the store's business; only accepted answers are kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

FORMAT = 1  # grows when the meaning of a stored answer changes


@dataclass(frozen=True, slots=True)
class Cached:
    """A stored answer, under the model that gave it."""

    model: str
    response: Mapping[str, str]
    tokens_in: int
    tokens_out: int
    cost_micros: int


class CompletionCache(Protocol):
    """Rows of answers and leases. Each call is one short transaction of its own."""

    def claim(self, key: str, *, seconds: float) -> Cached | bool:
        """The answer; True when the caller holds the lease and has to ask; False when another does."""
        ...

    def keep(self, key: str, answer: Cached) -> None:
        """Store an answer and end the lease."""
        ...

    def release(self, key: str) -> None:
        """End the lease without an answer, so that exactly one waiter may take it."""
        ...


def request_key(request: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical request: every field counts, none is chosen."""
    text = json.dumps(
        {"format": FORMAT, **request}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def claim_or_wait(
    cache: CompletionCache,
    key: str,
    *,
    lease_seconds: float,
    wait_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Cached | bool:
    """The answer, or True when the caller has to ask, or False when another still asks after
    `wait_seconds`."""
    end = clock() + wait_seconds
    pause = 0.01
    while True:
        found = cache.claim(key, seconds=lease_seconds)
        if found is not False or clock() >= end:
            return found
        sleep(pause)
        pause = min(0.25, pause * 2)


class NoCache:
    """Asks every time: for tests and for tiers that may not be cached."""

    def claim(self, key: str, *, seconds: float) -> Cached | bool:
        return True

    def keep(self, key: str, answer: Cached) -> None: ...

    def release(self, key: str) -> None: ...
