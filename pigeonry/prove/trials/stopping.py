"""SIGTERM under load: what is in flight is finished, what is claimed is given back, nothing is left unknown."""

from __future__ import annotations

import random
import signal
import time

from pigeonry.prove import mischief
from pigeonry.prove.cell import scene
from pigeonry.prove.crew import run_under_fire
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits

_TERMS = 20
_DELAY_MS = 20.0


def graceful_stop(setting: Setting) -> list[Outcome]:
    return [_one(setting, channel, setting.databases[0]) for channel in setting.channels]


def _one(setting: Setting, channel: str, database: str) -> Outcome:
    lot = random.Random(setting.seed)  # noqa: S311 - repeatable on purpose
    people = max(300, min(setting.messages, 2000))
    unclean, unknown, slowest = 0, 0, 0.0
    with scene(
        channel=channel, database=database, seed=setting.seed, people=people, limits=Limits(),
        shares=mischief.NONE, delay_ms=_DELAY_MS,
    ) as it:  # fmt: skip
        crew = it.crew(1)
        for _ in range(_TERMS):
            worker = crew.start()
            before = it.seen()
            while it.seen() == before and worker.poll() is None:
                time.sleep(0.01)
            time.sleep(lot.uniform(0.0, 0.1))
            began = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            unclean += worker.wait(60) != 0
            slowest = max(slowest, time.monotonic() - began)
            states = it.world.keys().values()
            unknown += sum(s in ("unknown", "handing_over", "claimed") for s in states)
        run_under_fire(crew, seed=setting.seed, kills=0, total=people, done=it.seen)
        numbers = it.count()
    return Outcome(
        f"{channel} on {database}",
        numbers.clean and not unclean and not unknown and slowest < 30,
        {
            "messages": numbers.messages,
            "stops": _TERMS,
            "left unknown or claimed": unknown,
            "exit codes other than 0": unclean,
            "slowest stop, s": round(slowest, 2),
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
        },
    )
