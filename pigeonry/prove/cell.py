"""One cell of the proof: a campaign over one channel on one database, killed again and again, then counted."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pigeonry.delivery import base
from pigeonry.domain.progress import Progress, silent
from pigeonry.prove import mischief, sinks
from pigeonry.prove.counting import Arrival, Count, arrivals, count, outbox_arrivals
from pigeonry.prove.crew import Crew, run_under_fire
from pigeonry.prove.limits import Limits
from pigeonry.prove.world import World, database_url, make_home, make_world
from pigeonry.service.events import ingest_events
from pigeonry.service.reconcile import reconcile

_EVENTS = 500  # in one post, as a provider does
_ROUNDS = 5  # what was certainly not accepted is sent again, and may meet mischief again
CHANNELS = ("file", "smtp", "sendgrid")
DATABASES = ("sqlite", "postgres")


@dataclass(frozen=True, slots=True)
class CellResult:
    channel: str
    database: str
    seed: int
    kills: int
    seconds: float
    count: Count
    resolved: float  # share of the hand-overs left unknown that evidence settled; 1.0 when there were none
    limits: str

    @property
    def held(self) -> bool:
        """0 duplicates, 0 lost, nothing foreign, and parking everything is no way out."""
        return self.count.clean and self.count.accepted >= 0.97 * self.count.messages

    def to_json(self) -> dict[str, Any]:
        numbers = asdict(self.count)
        return {
            "channel": self.channel,
            "database": self.database,
            "seed": self.seed,
            "kills": self.kills,
            "seconds": round(self.seconds, 1),
            **numbers,
            "resolved": round(self.resolved, 4),
            "held": self.held,
            "limits": self.limits,
        }


@contextmanager
def stage(
    folder: Path, *, channel: str, database: str, seed: int, leads: int, limits: Limits
) -> Iterator[tuple[World, Path]]:
    """A filled world whose channel leads to a sink of its own; and the sink's log."""
    log = folder / "sink.log"
    shares = {"smtp": mischief.SMTP, "sendgrid": mischief.SENDGRID}.get(channel, {})
    with database_url(database, folder) as url:
        if channel == "file":
            home = make_home(folder / "home", channel=channel, url=url, port=0, limits=limits)
            yield make_world(home, leads=leads), log
            return
        with sinks.running(channel, log, mischief.Mischief(seed, shares=dict(shares))) as port:
            home = make_home(folder / "home", channel=channel, url=url, port=port, limits=limits)
            yield make_world(home, leads=leads), log


def run_cell(
    *,
    channel: str,
    database: str,
    seed: int,
    messages: int,
    kills: int,
    workers: int = 2,
    limits: Limits | None = None,
    progress: Progress = silent,
) -> CellResult:
    """Send `messages` mails with `kills` SIGKILLs on the way, settle what evidence can settle, and count."""
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="prove-") as name:
        folder = Path(name)
        with stage(
            folder, channel=channel, database=database, seed=seed, leads=messages, limits=limits
        ) as (world, log):
            began = time.monotonic()
            crew = Crew(world, workers, folder / "workers.log")

            def done() -> int:
                return len(seen(world, log))

            struck = run_under_fire(
                crew, seed=seed, kills=kills, total=messages, done=done, progress=progress
            )
            left, unsettled = _settle(world, log, crew, limits, seed)
            result = CellResult(
                channel=channel,
                database=database,
                seed=seed,
                kills=struck,
                seconds=time.monotonic() - began,
                count=count(seen(world, log), world.keys()),
                resolved=1.0 if not left else 1 - unsettled / left,
                limits=limits.shown(),
            )
            world.database.dispose()
            return result


def seen(world: World, log: Path) -> list[Arrival]:
    if world.home.settings.sending.channel == "file":
        return outbox_arrivals(world.home.outbox)
    return arrivals(log)


def _settle(world: World, log: Path, crew: Crew, limits: Limits, seed: int) -> tuple[int, int]:
    """Evidence for what nobody knew: the provider's events, then the end of the quarantine. Returns how many
    were unknown at first, and how many a person has to decide."""
    first = len(_uncertain(world))
    for _ in range(_ROUNDS):
        if world.home.settings.sending.channel == "sendgrid":
            _deliver_events(world, log)
        if not _uncertain(world) and not world.waiting():
            break
        time.sleep(limits.quarantine + 1)
        sender = base.make_sender(world.home)
        try:
            reconcile(world.database, world.home, sender, now=datetime.now(UTC))
        finally:
            base.close(sender)
        if not world.waiting():
            break
        run_under_fire(crew, seed=seed, kills=0, total=0, done=lambda: 0)
    return first, len(_uncertain(world))


def _uncertain(world: World) -> list[str]:
    return [key for key, state in world.keys().items() if state in ("unknown", "parked")]


def _deliver_events(world: World, log: Path) -> None:
    """What the provider reports of everything that it took, twice over."""
    found = [
        {
            "event": "processed",
            "timestamp": int(arrival.at),
            "sg_event_id": f"processed-{arrival.key}",
            "send_key": arrival.key,
            "email": "someone@example.com",
        }
        for arrival in arrivals(log)
    ]
    for start in range(0, len(found), _EVENTS):
        body = json.dumps(found[start : start + _EVENTS]).encode()
        for _ in range(2):
            ingest_events(
                world.database, world.home, body, source="sendgrid", now=datetime.now(UTC)
            )
