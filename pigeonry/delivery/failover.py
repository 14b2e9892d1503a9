"""Two channels in a row: the second gets what the first has definitely not taken and cannot take now."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from pigeonry.domain.message import HandOver, Outcome, OutgoingMessage, Sender

_REST_SECONDS = 30.0


class FailoverSender:
    """Named "first>second". The second is asked only when the first's trouble is its own: an address that it
    refuses would be refused again, and what it may have taken must not be sent a second time.

    A first in trouble rests for a while, so that not every mail has to wait for its silence anew; the
    second's own trouble ends that rest.
    """

    def __init__(
        self, first: Sender, second: Sender, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.channels = (first, second)
        self.name = f"{first.name}>{second.name}"
        self._clock = clock
        self._rests_until = 0.0
        self._trouble = HandOver(Outcome.RETRY)

    @property
    def max_seconds(self) -> float:
        return sum(channel.max_seconds for channel in self.channels)

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        first, second = self.channels
        result = self._trouble
        if self._clock() >= self._rests_until:
            result = _by(first, message)
            if result.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN) or not result.channel_down:
                return result
            self._trouble = result
            self._rests_until = self._clock() + max(_REST_SECONDS, result.retry_after or 0.0)
        other = _by(second, message)
        if other.outcome is not Outcome.RETRY or not other.channel_down:
            return other
        self._rests_until = 0.0
        reason = f"{first.name}: {result.reason}; {second.name}: {other.reason}"
        # As soon as either may take it again.
        waits = [result.retry_after, other.retry_after]
        wait = None if None in waits else min(seconds for seconds in waits if seconds is not None)
        return dataclasses.replace(other, reason=reason[:300], retry_after=wait)

    def evidence(self, send_key: str) -> bool | None:
        """One that has it is enough; that nobody has it, both have to say."""
        known = [channel.evidence(send_key) for channel in self.channels]
        if True in known:
            return True
        return None if None in known else False

    def close(self) -> None:
        for channel in self.channels:
            if callable(let_go := getattr(channel, "close", None)):
                let_go()


def _by(channel: Sender, message: OutgoingMessage) -> HandOver:
    result = channel.hand_over(message)
    return dataclasses.replace(result, channel=result.channel or channel.name)
