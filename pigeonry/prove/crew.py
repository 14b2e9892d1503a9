"""Workers at one campaign, and the driver that kills them: by SIGKILL, spread over the run by its progress."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import OutsideFailure
from pigeonry.prove.world import World

Worker = subprocess.Popen[bytes]
_POLL = 0.02
_LONGEST = 1800.0  # seconds; a crew that needs longer has got stuck


@dataclass
class Crew:
    """`size` workers at once; one that ends or is killed is replaced while there is anything to do."""

    world: World
    size: int
    log: Path  # of the workers' errors
    _running: list[Worker] = field(default_factory=list)

    def start(self, *, env: Mapping[str, str] | None = None, shift: float = 0.0) -> Worker:
        """One more worker; `env` is added to this process's own, `shift` moves its clock by seconds."""
        with self.log.open("ab") as errors:
            worker = subprocess.Popen(
                [
                    sys.executable, "-m", "pigeonry.prove.worker",
                    str(self.world.home.path), str(self.world.campaign_id), str(shift),
                ],
                stdout=errors, stderr=errors, env={**os.environ, **(env or {})},
            )  # fmt: skip
        self._running.append(worker)
        return worker

    def fill(self) -> None:
        """As many workers as there should be; those that ended by themselves are gone. Raises when one was
        refused: it would be refused for ever."""
        for worker in self._running:
            if worker.poll() in (2, 3):
                raise OutsideFailure(
                    f"a worker was refused: {self.log.read_text(errors='replace')[-500:].strip()}",
                    where="prove",
                    fix="mend that and run it again",
                )
        self._running = [worker for worker in self._running if worker.poll() is None]
        while len(self._running) < self.size:
            self.start()

    def kill_one(self, lot: random.Random) -> bool:
        """SIGKILL for one of those at work; False when none was."""
        alive = [worker for worker in self._running if worker.poll() is None]
        if not alive:
            return False
        victim = lot.choice(alive)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self._running.remove(victim)
        return True

    def end(self) -> None:
        for worker in self._running:
            worker.kill()
            worker.wait()
        self._running = []


def run_under_fire(
    crew: Crew,
    *,
    seed: int,
    kills: int,
    total: int,
    done: Callable[[], int],
    progress: Progress = silent,
) -> int:
    """Let the crew work until nothing waits any more, with `kills` SIGKILLs on the way; returns how many hit.

    The k-th kill comes a random moment after the far end has seen k of `kills` parts of the mails, so
    that the kills meet senders at work from the first mail to the last.
    """
    lot = random.Random(seed)  # noqa: S311 - repeatable on purpose
    struck, began, looked = 0, time.monotonic(), 0.0
    try:
        while True:
            crew.fill()
            seen = done()
            progress("proof", min(seen, total), total)
            if struck < kills and seen >= 0.98 * total * (struck + lot.random()) / (kills + 1):
                time.sleep(lot.uniform(0.0, 0.05))
                struck += crew.kill_one(lot)
                continue
            if time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                if not crew.world.waiting():
                    return struck
            if time.monotonic() - began > _LONGEST:
                raise OutsideFailure(
                    f"messages still wait after {_LONGEST:g} s",
                    where=str(crew.log),
                    fix="look at the workers' words there",
                )
            time.sleep(_POLL)
    finally:
        crew.end()
