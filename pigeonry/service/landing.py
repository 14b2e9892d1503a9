"""What a hand-over that came back means: for its message, and for the channel as a whole."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pigeonry.config import SendingSettings
from pigeonry.delivery import guard
from pigeonry.domain.message import HandOver, MessageState, Outcome
from pigeonry.errors import OutsideFailure
from pigeonry.store.handovers import Claim, Recorded

CHANNEL_TRIES = 4  # in a row, 1, 2, 4 s apart, before a channel counts as down


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of a hand-over. `late`: it was given back before the channel saw it."""

    claim: Claim
    result: HandOver
    started_at: datetime
    finished_at: datetime
    late: bool = False
    bug: Exception | None = None

    @property
    def final(self) -> bool:
        return self.result.outcome is not Outcome.RETRY

    @property
    def blames_channel(self) -> bool:
        return self.result.channel_down and not self.late


def recorded(item: Landed, sending: SendingSettings, *, poisonous: bool) -> Recorded:
    """The message's next state. `poisonous`: the channel took others meanwhile, so this one gives up."""
    result = item.result
    state, reason, not_before = MessageState.UNKNOWN, result.reason, None
    if result.outcome is Outcome.ACCEPTED:
        state = MessageState.ACCEPTED
    elif result.outcome is Outcome.REFUSED:
        state = MessageState.FAILED
    elif result.outcome is Outcome.RETRY:
        tried, wait = item.claim.attempts + 1, 0.0
        if poisonous or (not result.channel_down and tried >= sending.max_attempts):
            state = MessageState.FAILED
            reason = f"gave up after {sending.max_attempts} tries: {result.reason}"
        else:
            state = MessageState.PLANNED
            wait = (
                result.retry_after or 0.0
                if result.channel_down
                else guard.backoff(tried, result.retry_after, first=sending.backoff_seconds)
            )
        if wait:
            not_before = item.finished_at + timedelta(seconds=wait)
    return Recorded(
        item.claim,
        result,
        state,
        reason,
        not_before,
        item.started_at,
        item.finished_at,
        begun=not item.late,
    )


class Trouble:
    """A channel that takes nothing: left alone for a while, longer each time, then given up."""

    def __init__(self, channel: str, campaign_id: int, patience: float) -> None:
        self._channel, self._campaign_id, self._patience = channel, campaign_id, patience
        self._times = 0  # in a row
        self._until = 0.0

    @property
    def seconds(self) -> float:
        """How much longer the channel is left alone."""
        return max(0.0, self._until - time.monotonic())

    def judge(self, landed: Sequence[Landed], poisonous: Collection[int]) -> None:
        """Raises OutsideFailure when the channel was down too often or wants to be left alone too long."""
        down = [
            item.result for item in landed if item.blames_channel and item.claim.id not in poisonous
        ]
        if not down:
            self._times = 0
            return
        if self.seconds:
            return  # others that were under way met the same trouble
        self._times += 1
        pause = max(2.0 ** (self._times - 1), *(item.retry_after or 0.0 for item in down))
        self._until = time.monotonic() + pause
        if self._times >= CHANNEL_TRIES or pause > self._patience:
            raise OutsideFailure(
                f"the {self._channel} channel takes no mail: {down[-1].reason}",
                where=f"campaign {self._campaign_id}",
                fix="mend that and run the same command again: what was sent is kept, "
                "and nothing is sent twice",
                transient=True,
            )
