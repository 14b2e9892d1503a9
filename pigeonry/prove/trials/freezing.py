"""Split brain: a sender is stopped for longer than its lease, another takes over, the first wakes up."""

from __future__ import annotations

import signal
import time

from pigeonry.domain import failpoint
from pigeonry.prove import mischief
from pigeonry.prove.cell import scene, settle
from pigeonry.prove.crew import run_under_fire
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits

_LIMITS = Limits(timeout=0.5, after_dot=1.5, lease=6.0, quarantine=8.0, event_delay=1.0)
_STOPS = 3
_DELAY_MS = 200.0  # of each answer, so that the stops meet senders at work
_FROZEN = 40


def split_brain(setting: Setting) -> list[Outcome]:
    """SIGSTOP beyond the lease with a replacement started, several times in one campaign."""
    return [
        _stopped(setting, channel, database)
        for channel in setting.channels
        for database in setting.databases
    ]


def _stopped(setting: Setting, channel: str, database: str) -> Outcome:
    total, longest = setting.messages, 0.0
    with scene(
        channel=channel, database=database, seed=setting.seed, people=total, limits=_LIMITS,
        shares=mischief.NONE, delay_ms=_DELAY_MS,
    ) as it:  # fmt: skip
        crew = it.crew(2)
        try:
            for number in range(_STOPS):
                while it.seen() < total * number / (_STOPS + 1):
                    crew.fill()
                    time.sleep(0.02)
                sleeper = crew.start()
                time.sleep(1.5)  # until it is at work
                sleeper.send_signal(signal.SIGSTOP)
                began = time.monotonic()
                while time.monotonic() - began < _LIMITS.lease + 1.5:
                    crew.fill()
                    time.sleep(0.05)
                sleeper.send_signal(signal.SIGCONT)
                longest = max(longest, time.monotonic() - began)
            run_under_fire(crew, seed=setting.seed, kills=0, total=total, done=lambda: 0)
        finally:
            crew.end()
        settle(it, crew, _LIMITS)
        numbers = it.count()
    return Outcome(
        f"{channel} on {database}",
        numbers.clean and numbers.accepted >= 0.97 * numbers.messages,
        {
            "messages": numbers.messages,
            "stops": _STOPS,
            "longest pause": round(longest, 1),
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
            "accepted": numbers.accepted,
            "parked or unknown": numbers.parked + numbers.unknown,
            "limits": _LIMITS.shown(),
        },
    )


def frozen_before_the_socket(setting: Setting) -> list[Outcome]:
    """A sender frozen between fence and hand-over gives the mail back; one frozen right before the first byte,
    for less than lease and quarantine, sends it once."""
    return [
        _frozen(setting, place, seconds)
        for place, seconds in (
            ("fence.after_commit", 3.0),
            ("journal.after_begin", _LIMITS.lease + 3),
        )
    ]


def _frozen(setting: Setting, place: str, seconds: float) -> Outcome:
    with scene(
        channel="sendgrid", database="sqlite", seed=setting.seed, people=_FROZEN, limits=_LIMITS,
        shares=mischief.NONE,
    ) as it:  # fmt: skip
        crew = it.crew(1)
        try:
            frozen = crew.start(env={failpoint.VARIABLE: f"{place}=freeze:{seconds}@3"})
            time.sleep(1.0)
            crew.size = 2  # a second one beside it
            while it.world.waiting():
                crew.fill()
                time.sleep(0.1)
            frozen.wait(60)
        finally:
            crew.end()
        settle(it, crew, _LIMITS)
        numbers = it.count()
    return Outcome(
        f"frozen {seconds:g} s at {place}",
        numbers.clean,
        {
            "messages": numbers.messages,
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
            "accepted": numbers.accepted,
        },
    )
