"""How fast mail may leave: sliding windows by channel, sender domain and recipient domain, and the warm-up of a
new sender domain. Counted in the database, so all senders together keep to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pigeonry.config import LimitSettings, SendingSettings
from pigeonry.store import rates
from pigeonry.store.session import Session

# A window is counted in so many slots. What began anywhere in a slot counts until the slot's end has left
# the window: never more than the limit in any stretch, and at most a twentieth of a window too slow.
_SLOTS = 20
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before `until`. `everybody`: the next message would have to wait just as long."""

    until: datetime
    everybody: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Window:
    scope: str
    count: int
    seconds: float
    everybody: bool
    name: str

    @property
    def slot_seconds(self) -> float:
        return self.seconds / _SLOTS


class Pace:
    """The limits that hold for one sender's mails. Holds no counts: those are in the database."""

    def __init__(self, settings: SendingSettings, *, channel: str, sender_domain: str) -> None:
        self._limits = settings.limits
        self._warmup = (settings.warmup_start, settings.warmup_growth)
        self._names = {"channel": channel, "sender": sender_domain}
        self._domain = sender_domain

    @property
    def limited(self) -> bool:
        return bool(self._limits or self._warmup[0])

    def admit(
        self, session: Session, recipient_domains: Sequence[str], now: datetime
    ) -> list[Wait | None]:
        """For each mail in turn: None, and it is counted; or how long it has to wait."""
        at = now.timestamp()
        windows = [self._windows(domain) for domain in recipient_domains]
        scopes = {window.scope for some in windows for window in some}
        warmup = f"warmup:{self._domain}"
        if self._warmup[0]:
            scopes.add(warmup)
        slots = rates.counted(session, scopes)
        before = {scope: dict(counts) for scope, counts in slots.items()}
        answers: list[Wait | None] = []
        for some in windows:
            wait = self._warming(slots.get(warmup, {}), now) if self._warmup[0] else None
            for window in some:
                wait = wait or _full(window, slots[window.scope], at)
            answers.append(wait)
            if wait is None:
                for window in some:
                    slot = math.floor(at / window.slot_seconds)
                    slots[window.scope][slot] = slots[window.scope].get(slot, 0) + 1
                if self._warmup[0]:
                    day = math.floor(at / _DAY)
                    slots[warmup][day] = slots[warmup].get(day, 0) + 1
        rates.add(
            session,
            {
                (scope, slot): count - before[scope].get(slot, 0)
                for scope, counts in slots.items()
                for slot, count in counts.items()
                if count != before[scope].get(slot, 0)
            },
        )
        rates.forget(
            session,
            sorted(
                {
                    (w.scope, math.floor((at - w.seconds) / w.slot_seconds) - 1)
                    for some in windows
                    for w in some
                }
            ),
        )
        return answers

    def _windows(self, recipient_domain: str) -> list[_Window]:
        found = []
        for limit in self._limits:
            name = self._names.get(limit.scope, recipient_domain)
            if limit.match in ("*", name):
                found.append(_window(limit, name))
        return found

    def _warming(self, days: dict[int, int], now: datetime) -> Wait | None:
        """The first day's share grows by the factor each day since then."""
        today = math.floor(now.timestamp() / _DAY)
        start, growth = self._warmup
        allowed = start * growth ** (today - min(days, default=today))
        if days.get(today, 0) < allowed:
            return None
        tomorrow = datetime.fromtimestamp((today + 1) * _DAY, UTC)
        return Wait(tomorrow, True, f"warm-up of {self._domain}: {int(allowed):,} mails today")


def _window(limit: LimitSettings, name: str) -> _Window:
    return _Window(
        scope=f"{limit.scope}:{name}/{limit.seconds:g}",
        count=limit.count,
        seconds=limit.seconds,
        everybody=limit.scope != "recipient",
        name=name,
    )


def _full(window: _Window, slots: dict[int, int], at: float) -> Wait | None:
    inside = sorted(
        (slot, count)
        for slot, count in slots.items()
        if (slot + 1) * window.slot_seconds + window.seconds > at
    )
    over = sum(count for _, count in inside) - window.count
    if over < 0:
        return None
    for slot, count in inside:
        over -= count
        if over < 0:
            until = (slot + 1) * window.slot_seconds + window.seconds
            return Wait(
                datetime.fromtimestamp(until, UTC) + timedelta(milliseconds=1),
                window.everybody,
                f"pace: {window.count} mails to {window.name} in {window.seconds:g} s"
                if not window.everybody
                else f"pace: {window.count} mails by {window.name} in {window.seconds:g} s",
            )
    return None
