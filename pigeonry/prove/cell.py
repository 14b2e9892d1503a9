"""One cell of the proof: a campaign over one channel on one database, killed again and again, then counted."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
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


@dataclass(frozen=True, slots=True)
class Scene:
    """A filled world whose channel leads to a sink of its own, in a folder that is removed afterwards."""

    world: World
    log: Path  # the sink's
    folder: Path

    def crew(self, size: int) -> Crew:
        return Crew(self.world, size, self.folder / "workers.log")

    def arrivals(self) -> list[Arrival]:
        if self.world.home.settings.sending.channel == "file":
            return outbox_arrivals(self.world.home.outbox)
        return arrivals(self.log)

    def seen(self) -> int:
        """How many mails the far end has taken by now."""
        if self.world.home.settings.sending.channel == "file":
            return len(self.arrivals())
        return max(0, self.log.read_bytes().count(b"\n") - 1)

    def count(self) -> Count:
        return count(self.arrivals(), self.world.keys())


@contextmanager
def scene(
    *,
    channel: str,
    database: str,
    seed: int,
    people: int,
    limits: Limits,
    shares: Mapping[str, float] | None = None,
    delay_ms: float = 0.0,
    on: Callable[[Path], AbstractContextManager[object]] = nullcontext,
    more: str = "",
) -> Iterator[Scene]:
    """Set up everything that one trial needs. `shares` of mischief: the channel's usual ones when not given. The
    home lies `on` a disk that is made for its folder; `more` are further sections of its TOML."""
    usual = {"smtp": mischief.SMTP, "sendgrid": mischief.SENDGRID}.get(channel, {})
    script = mischief.Mischief(
        seed, delay_ms=delay_ms, shares=dict(usual if shares is None else shares)
    )
    with (
        tempfile.TemporaryDirectory(prefix="prove-") as name,
        database_url(database, Path(name)) as url,
        _far_end(channel, Path(name) / "sink.log", script) as port,
        on(Path(name) / "home"),
    ):
        folder = Path(name)
        home = make_home(
            folder / "home", channel=channel, url=url, port=port, limits=limits, more=more
        )
        world = make_world(home, people=people)
        try:
            yield Scene(world, folder / "sink.log", folder)
        finally:
            world.database.dispose()


@contextmanager
def _far_end(channel: str, log: Path, script: mischief.Mischief) -> Iterator[int]:
    if channel == "file":
        yield 0
        return
    with sinks.running(channel, log, script) as port:
        yield port


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
    with scene(channel=channel, database=database, seed=seed, people=messages, limits=limits) as it:
        began, crew = time.monotonic(), it.crew(workers)
        struck = run_under_fire(
            crew, seed=seed, kills=kills, total=messages, done=it.seen, progress=progress
        )
        left, unsettled = settle(it, crew, limits)
        return CellResult(
            channel=channel,
            database=database,
            seed=seed,
            kills=struck,
            seconds=time.monotonic() - began,
            count=it.count(),
            resolved=1.0 if not left else 1 - unsettled / left,
            limits=limits.shown(),
        )


def settle(it: Scene, crew: Crew, limits: Limits) -> tuple[int, int]:
    """Evidence for what nobody knew: the provider's events, then the end of the quarantine. Returns how many
    were unknown at first, and how many a person has to decide."""
    world = it.world
    first = len(_uncertain(world))
    for _ in range(_ROUNDS):
        if world.home.settings.sending.channel == "sendgrid":
            _deliver_events(it)
        if not _uncertain(world) and not world.waiting():
            break
        time.sleep(limits.quarantine + 1)
        sender = base.make_sender(world.home)
        try:
            reconcile(world.database, world.home, sender, now=datetime.now(UTC), parked_too=True)
        finally:
            base.close(sender)
        if not world.waiting():
            break
        run_under_fire(crew, seed=1, kills=0, total=0, done=lambda: 0)
    return first, len(_uncertain(world))


def _uncertain(world: World) -> list[str]:
    return [key for key, state in world.keys().items() if state in ("unknown", "parked")]


def _deliver_events(it: Scene) -> None:
    """What the provider reports of everything that it took, twice over."""
    found = [
        {
            "event": "processed",
            "timestamp": int(arrival.at),
            "sg_event_id": f"processed-{arrival.key}",
            "send_key": arrival.key,
            "email": "someone@example.com",
        }
        for arrival in it.arrivals()
    ]
    for start in range(0, len(found), _EVENTS):
        body = json.dumps(found[start : start + _EVENTS]).encode()
        for _ in range(2):
            ingest_events(
                it.world.database, it.world.home, body, source="sendgrid", now=datetime.now(UTC)
            )
