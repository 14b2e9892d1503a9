"""SIGKILL at random moments, and at every named place of the code in turn."""

from __future__ import annotations

import time

from pigeonry.domain import failpoint
from pigeonry.prove import mischief
from pigeonry.prove.cell import CellResult, Scene, run_cell, scene
from pigeonry.prove.crew import Crew
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.world import plan_more

_LIMITS = Limits(timeout=0.5, after_dot=1.0, lease=6.0, quarantine=4.0, event_delay=1.0)
_EACH = 12  # mails for one place
_DOORS = ("file", "smtp", "sendgrid")
_SECONDS = 60.0


def at_random(setting: Setting) -> list[Outcome]:
    """Every cell of channel and database."""
    found = []
    for channel in setting.channels:
        for database in setting.databases:
            result = run_cell(
                channel=channel,
                database=database,
                seed=setting.seed,
                messages=setting.messages,
                kills=setting.kills,
                workers=setting.workers,
                progress=setting.progress,
            )
            found.append(outcome(result))
    return found


def outcome(result: CellResult) -> Outcome:
    numbers = result.count
    return Outcome(
        f"{result.channel} on {result.database}",
        result.held,
        {
            "messages": numbers.messages,
            "kills": result.kills,
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
            "accepted": numbers.accepted,
            "failed": numbers.failed,
            "parked": numbers.parked,
            "unknown": numbers.unknown,
            "resolved": round(result.resolved, 4),
            "seconds": round(result.seconds, 1),
        },
    )


def at_every_place(setting: Setting) -> list[Outcome]:
    """Kill one sender after another, each at another failpoint: each takes over what the one before left. The
    last one finishes; then count. Deterministic: no lot is drawn."""
    found = []
    for channel in setting.channels:
        for database in setting.databases:
            with scene(
                channel=channel, database=database, seed=setting.seed, people=0, limits=_LIMITS,
                shares=mischief.NONE,
            ) as it:  # fmt: skip
                found.append(_places(it, f"{channel} on {database}"))
    return found


def _places(it: Scene, trial: str) -> Outcome:
    channel = it.world.home.settings.sending.channel
    places = [
        place
        for place in failpoint.POINTS
        if place.partition(".")[0] not in _DOORS or place.startswith(channel)
    ]
    missed = []
    crew = it.crew(1)
    for place in places:
        plan_more(it.world, _EACH)
        if place.startswith(("reap.", "settle.")):  # somebody has to have left something to reap
            _run(crew, "journal.after_begin=kill@2")
        if place.startswith("settle.") and channel != "file":  # and its quarantine has to be over
            _run(crew, "")
            time.sleep(_LIMITS.quarantine + 1)
        if _run(crew, f"{place}=kill@1") != -9:
            missed.append(place)
    if code := _run(crew, ""):
        missed.append(f"the last sender ended with {code}")
    numbers = it.count()
    return Outcome(
        trial,
        numbers.clean and not missed,
        {
            "places": len(places),
            "not reached": ", ".join(missed) or "none",
            "messages": numbers.messages,
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
            "accepted": numbers.accepted,
            "shown as unknown or parked": numbers.unknown + numbers.parked,
        },
    )


def _run(crew: Crew, points: str) -> int:
    worker = crew.start(env={failpoint.VARIABLE: points})
    try:
        return worker.wait(_SECONDS)
    finally:
        crew.end()
