"""A database in trouble during a campaign: it waits or says so, and what was promised of mails and events holds."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from pigeonry.errors import OutsideFailure
from pigeonry.prove import mischief, mishaps
from pigeonry.prove.cell import Scene, scene, settle
from pigeonry.prove.delivered import asking, whole
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.provider import Signer
from pigeonry.prove.trials.webhooks import expect_signed
from pigeonry.prove.web_process import WebProcess
from pigeonry.prove.website import free_port

_LIMITS = Limits(timeout=1.0, after_dot=1.5, lease=8.0, quarantine=7.0, event_delay=2.0)
_DELAY_MS = 20.0
_LOCK, _LONG_LOCK, _FULL = 2.5, 12.0, 3.0  # seconds; a webhook waits 10 s for its commit
_DISK_MB = 24
_LONGEST = 600.0
_POST = 20  # events in one post

Strike = Callable[[Scene, int, random.Random], None]


def database_trouble(setting: Setting) -> list[Outcome]:
    """Each trouble several times in the middle of a campaign, beside a web process that takes events."""
    found = []
    for database in setting.databases:
        kinds = ("locked", "full") if database == "sqlite" else ("restarted", "cut")
        for channel in setting.channels:
            found += [one(setting, channel, database, kind) for kind in kinds]
    return found


def one(setting: Setting, channel: str, database: str, kind: str) -> Outcome:
    """One kind of trouble: locked or full (SQLite), restarted or cut (PostgreSQL)."""
    people, times = max(40, min(250, setting.messages // 4)), max(2, min(5, setting.kills // 4))
    on: Callable[[Path], AbstractContextManager[bool]] = (
        partial(mishaps.small_disk, megabytes=_DISK_MB) if kind == "full" else lambda _: nullcontext(False)
    )  # fmt: skip
    with scene(
        channel=channel, database=database, seed=setting.seed, people=people, limits=_LIMITS,
        shares=mischief.NONE, delay_ms=_DELAY_MS, on=on,
    ) as it:  # fmt: skip
        signer = expect_signed(it.world.home)
        web = WebProcess(it.world.home.path, free_port(), it.folder / "web.log")
        web.start()
        try:
            mounted = it.world.home.path.is_mount()
            provider = _Provider(web.port, signer)
            senders = _Senders(it, setting.workers)
            happen = _HAPPENS[kind] if kind != "full" or mounted else _few_pages(senders)
            struck = _campaign(it, senders, provider, happen, times, setting.seed)
            settle(it, it.crew(1), _LIMITS)
            provider.end()
            web.drained()
            code = web.stop()
        finally:
            web.end()
        numbers, intents = it.count(), _without_intent(it)
        with asking(it.world.database.url) as ask:
            stored = {event_id for (event_id,) in ask("SELECT event_id FROM event")}
            sound = whole(ask, it.world.database.url)
        unclear = senders.unclear()
    lost_events = len(provider.acknowledged - stored)
    codes = provider.answers
    wrong = sum(number for code, number in codes.items() if code not in ("200", "503"))
    name = {"full": "full disk (tmpfs)" if mounted else "full (max_page_count)"}.get(kind, kind)
    return Outcome(
        f"{channel} on {database}: {name}",
        numbers.clean
        and numbers.accepted >= 0.9 * numbers.messages
        and not (intents or lost_events or wrong or unclear)
        and struck == times
        and sound
        and code == 0,
        {
            "messages": numbers.messages,
            "times": struck,
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
            "accepted": numbers.accepted,
            "parked or unknown": numbers.parked + numbers.unknown,
            "handed over without an intent": intents,
            "senders that ended with an error and were started again": senders.ended,
            "errors that say nothing": unclear,
            "events acknowledged": len(provider.acknowledged),
            "of them lost": lost_events,
            "answers 503 with Retry-After": codes["503"],
            "other answers": wrong,
            "integrity": "ok" if sound else "BROKEN",
        },
    )


def _campaign(
    it: Scene, senders: _Senders, provider: _Provider, happen: Strike, times: int, seed: int
) -> int:
    """Send until nothing waits; the k-th trouble begins when k of `times` + 1 parts have arrived."""
    total, struck = len(it.world.keys()), [0]

    def strikes() -> None:
        lot = random.Random(seed)  # noqa: S311 - repeatable on purpose
        for number in range(times):
            while it.seen() < total * (number + 0.5) / (times + 1) and not senders.over:
                time.sleep(0.02)
            happen(it, number, lot)
            struck[0] += 1

    thread = threading.Thread(target=strikes, daemon=True)
    provider.start()
    thread.start()
    began = time.monotonic()
    try:
        while thread.is_alive() or not senders.nothing_waits():
            senders.fill()
            if time.monotonic() - began > _LONGEST:
                raise OutsideFailure(
                    f"messages still wait after {_LONGEST:g} s", where=str(it.folder)
                )
            time.sleep(0.05)
    finally:
        senders.over = True
        senders.crew.end()
        thread.join()
    return struck[0]


class _Senders:
    """Workers that are started again whenever they end while there is something to do, as a supervisor would."""

    def __init__(self, it: Scene, size: int) -> None:
        self.crew, self.over = it.crew(size), False
        self.env: dict[str, str] = {}
        self.ended = 0  # with the exit code of an outside failure
        self._it, self._size = it, size
        self._running: list[subprocess.Popen[bytes]] = []
        self._looked = 0.0

    def fill(self) -> None:
        self.ended += sum(worker.poll() == 4 for worker in self._running)
        if any(worker.poll() in (2, 3) for worker in self._running):
            words = self.crew.log.read_text(errors="replace")[-500:].strip()
            raise OutsideFailure(f"a sender was refused: {words}", where="prove")
        self._running = [worker for worker in self._running if worker.poll() is None]
        while len(self._running) < self._size:
            self._running.append(self.crew.start(env=self.env))

    def stop(self) -> None:
        for worker in self._running:
            worker.terminate()

    def nothing_waits(self) -> bool:
        if time.monotonic() - self._looked < 1.0:
            return False
        self._looked = time.monotonic()
        try:
            return not self._it.world.waiting()
        except OutsideFailure:
            return False

    def unclear(self) -> int:
        """Stack traces, and errors that do not say what to do."""
        words = self.crew.log.read_text(encoding="utf-8", errors="replace")
        return words.count("Traceback") + (self.ended > 0 and "-> " not in words)


class _Provider(threading.Thread):
    """Posts events all the time, each until it is taken, and notes what it was told."""

    def __init__(self, port: int, signer: Signer) -> None:
        super().__init__(daemon=True)
        self._port, self._signer = port, signer
        self._over = threading.Event()
        self.acknowledged: set[str] = set()
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        number = 0
        while not self._over.is_set():
            ids = [f"trouble-{number}-{place}" for place in range(_POST)]
            number += 1
            while not self._post(ids) and not self._over.wait(0.3):
                pass
            self._over.wait(0.1)

    def end(self) -> None:
        self._over.set()
        self.join(60)

    def _post(self, ids: list[str]) -> bool:
        body = json.dumps(
            [
                {"event": "processed", "timestamp": int(time.time()), "sg_event_id": name,
                 "email": "someone@example.com"}
                for name in ids
            ]
        ).encode()  # fmt: skip
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            line.request("POST", "/hooks/sendgrid", body, self._signer.headers(body))
            answer = line.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.answers[type(error).__name__] += 1
            return False
        finally:
            line.close()
        told = str(answer.status)
        if answer.status == 503 and not answer.getheader("Retry-After"):
            told = "503 without Retry-After"
        self.answers[told] += 1
        if answer.status == 200:
            self.acknowledged.update(ids)
        return answer.status == 200


def _without_intent(it: Scene) -> int:
    """Mails at the far end of which our tables say that they were not handed over."""
    states = it.world.keys()
    begun = ("accepted", "unknown", "parked", "handing_over")
    return sum(states.get(arrival.key) not in begun for arrival in it.arrivals())


def _locked(it: Scene, number: int, lot: random.Random) -> None:
    seconds = _LONG_LOCK if number == 2 else _LOCK
    mishaps.hold_lock(it.world.home.path / "pigeonry.db", seconds)


def _full(it: Scene, number: int, lot: random.Random) -> None:
    mishaps.fill_disk(it.world.home.path / "pigeonry.db", _FULL)


def _few_pages(senders: _Senders) -> Strike:
    """Without a disk of its own: senders that start meanwhile may not let the database grow."""

    def strike(it: Scene, number: int, lot: random.Random) -> None:
        senders.env = {mishaps.PAGES: str(mishaps.pages(it.world.home.path / "pigeonry.db"))}
        senders.stop()
        time.sleep(_FULL)
        senders.env = {}

    return strike


def _restarted(it: Scene, number: int, lot: random.Random) -> None:
    mishaps.restart_postgres(it.folder, lot.choice(("fast", "immediate")))


def _cut(it: Scene, number: int, lot: random.Random) -> None:
    for _ in range(5):
        mishaps.cut_connections(it.world.database.url, lot)
        time.sleep(lot.uniform(0.0, 0.3))


_HAPPENS: dict[str, Strike] = {
    "locked": _locked, "full": _full, "restarted": _restarted, "cut": _cut,
}  # fmt: skip
