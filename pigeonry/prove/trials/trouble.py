"""A provider that misbehaves in one way only, often: each row of the outcome table by itself."""

from __future__ import annotations

from pigeonry.prove import mischief
from pigeonry.prove.cell import scene, settle
from pigeonry.prove.crew import run_under_fire
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits

_PEOPLE = 60
_SHARE = 0.15
# Fates of which nobody can know whether the mail was accepted; SMTP gives no evidence later. A reset within the
# body is one of them: a small mail's dot had been written before the reset was seen.
_UNKNOWABLE = frozenset({"reset_body", "drop", "half", "hole"})


def provider_trouble(setting: Setting) -> list[Outcome]:
    """Refusals, 429, 500, late, broken and missing answers: never a duplicate, never a silent loss."""
    kinds = {"smtp": mischief.SMTP, "sendgrid": mischief.SENDGRID}
    return [
        _one(setting, channel, kind)
        for channel in setting.channels
        for kind in kinds.get(channel, {})
    ]


def _one(setting: Setting, channel: str, kind: str) -> Outcome:
    limits = Limits(timeout=0.5, after_dot=1.0, lease=5.0, quarantine=4.0, event_delay=1.0, lanes=8)
    with scene(
        channel=channel, database=setting.databases[0], seed=setting.seed, people=_PEOPLE,
        limits=limits, shares={kind: _SHARE},
    ) as it:  # fmt: skip
        crew = it.crew(1)
        run_under_fire(crew, seed=setting.seed, kills=0, total=_PEOPLE, done=it.seen)
        settle(it, crew, limits)
        numbers = it.count()
    open_ends = numbers.parked + numbers.unknown
    allowed = channel == "smtp" and kind in _UNKNOWABLE
    return Outcome(
        f"{channel}: {kind}",
        numbers.clean and (allowed or not open_ends),
        {
            "messages": numbers.messages,
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
            "accepted": numbers.accepted,
            "failed": numbers.failed,
            "parked": open_ends,
        },
    )
