"""What a campaign may still spend: money is reserved before a call and settled after it; the local
tier also has a number of calls and a time. Says no; never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Budget:
    """Money in millionths. Concurrent callers never reserve more than the cap together."""

    def __init__(self, cap_micros: int, *, spent_micros: int = 0) -> None:
        self.cap_micros = cap_micros
        self.spent_micros = spent_micros
        self._reserved = 0
        self._lock = threading.Lock()

    def reserve(self, micros: int) -> bool:
        """Set aside the most that a call may cost; False when that would pass the cap."""
        with self._lock:
            if self.spent_micros + self._reserved + micros > self.cap_micros:
                return False
            self._reserved += micros
            return True

    def settle(self, reserved: int, spent: int) -> None:
        """Give back what was set aside and book what was spent."""
        with self._lock:
            self._reserved -= reserved
            self.spent_micros += spent


class Allowance:
    """Calls and seconds of one tier in one campaign. A call that would likely not end in time is
    refused: the longest so far is taken for the next."""

    def __init__(
        self, calls: int, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.calls, self.seconds = calls, seconds
        self.used_calls = 0
        self.used_seconds = 0.0
        self._longest = 0.0
        self._clock = clock
        self._lock = threading.Lock()

    def take(self) -> str:
        """Start a call; "" when it may, else why not."""
        with self._lock:
            if self.used_calls >= self.calls:
                return f"its {self.calls} calls of this campaign are used up"
            if self.used_seconds + self._longest > self.seconds:
                return f"its {self.seconds:g} s of this campaign are used up"
            self.used_calls += 1
            return ""

    def spend(self, seconds: float) -> None:
        with self._lock:
            self.used_seconds += seconds
            self._longest = max(self._longest, seconds)
