"""People who stop in the middle of a run, by six ways: no hand-over begins after their stop was committed."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from pigeonry.delivery.links import load_links
from pigeonry.prove import mischief
from pigeonry.prove.cell import Scene, scene
from pigeonry.prove.counting import count
from pigeonry.prove.crew import run_under_fire
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.service import events, leads, people, subscriptions
from pigeonry.service.dispatch import FENCE_SECONDS
from pigeonry.store import messages
from pigeonry.store.session import Database

_SHARE = 0.1  # of all people
_DELAY_MS = 5.0


def suppression_wins(setting: Setting) -> list[Outcome]:
    """A tenth of all people stop at random moments of a campaign under way."""
    return [
        _one(setting, channel, database)
        for channel in setting.channels
        for database in setting.databases
    ]


def _one(setting: Setting, channel: str, database: str) -> Outcome:
    total = setting.messages
    with scene(
        channel=channel, database=database, seed=setting.seed, people=total, limits=Limits(),
        shares=mischief.NONE, delay_ms=_DELAY_MS,
    ) as it:  # fmt: skip
        stops = _Stops(it, setting.seed, int(total * _SHARE))
        thread = threading.Thread(target=stops.run, daemon=True)
        crew = it.crew(setting.workers)
        thread.start()
        run_under_fire(
            crew, seed=setting.seed, kills=0, total=total, done=it.seen, progress=setting.progress
        )
        stops.ended.set()
        thread.join(60)
        began = {arrival.key: arrival.began for arrival in it.arrivals()}
        # Whoever was erased is in no table any more; what reached them before is no stranger's mail.
        gone = dict.fromkeys(stops.committed, "cancelled")
        numbers = count(it.arrivals(), gone | it.world.keys())
    after = [
        began[key] - at for key, at in stops.committed.items() if key in began and began[key] > at
    ]
    late = [seconds for seconds in after if seconds > FENCE_SECONDS]
    spared = sum(key not in began for key in stops.committed)
    return Outcome(
        f"{channel} on {database}",
        numbers.clean and not late and not stops.failed and spared > 0,
        {
            "messages": total,
            "stops": len(stops.committed),
            "spared": spared,
            "begun after the commit": len(late),
            "fenced before it and out within 2 s": len(after) - len(late),
            "failed stops": len(stops.failed),
            "duplicates": numbers.duplicates,
            "lost": numbers.lost,
        },
    )


class _Stops:
    """One person after another says stop; when each stop was committed, by send key."""

    def __init__(self, it: Scene, seed: int, number: int) -> None:
        self._it, self._number = it, number
        self._lot = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.committed: dict[str, float] = {}
        self.failed: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        world = self._it.world
        database = Database(world.database.url)
        with database.read() as session:
            keys = messages.keys_by_email(session, world.campaign_id)
        order = sorted(keys, key=lambda email: self._lot.random())
        ways = list(_WAYS.values())
        for number, email in enumerate(order[: self._number]):
            if self.ended.is_set():
                break
            try:
                ways[number % len(ways)](self._it, database, email, *keys[email])
            except Exception as error:  # counted: a stop that fails is a broken promise
                self.failed.append(f"{type(error).__name__}: {error}")
                continue
            self.committed[keys[email][0]] = time.time()
        database.dispose()


def _one_click(it: Scene, database: Database, email: str, key: str, lead_id: int) -> None:
    token = load_links(it.world.home).unsubscribe_token(lead_id, it.world.campaign_id)
    done = subscriptions.unsubscribe(
        database, it.world.home, token, how="one-click", now=datetime.now(UTC)
    )
    if not done:
        raise AssertionError("the token was refused")


def _reported(kind: str, it: Scene, database: Database, email: str, key: str, lead_id: int) -> None:
    body = [
        {
            "event": kind,
            "timestamp": int(time.time()),
            "sg_event_id": f"{kind}-{key}",
            "send_key": key,
            "email": email,
        }
    ]
    events.ingest_events(
        database, it.world.home, json.dumps(body).encode(), source="sendgrid", now=datetime.now(UTC)
    )


def _reply(it: Scene, database: Database, email: str, key: str, lead_id: int) -> None:
    mail = (
        f"From: <{email}>\r\nTo: salut@scoala.example\r\nSubject: Re: Cursul de desen\r\n"
        f"In-Reply-To: <{key}@scoala.example>\r\nMessage-ID: <{key[:8]}@mail.example>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nDezabonare, vă rog.\r\n"
    )
    events.ingest_events(
        database, it.world.home, mail.encode(), source="inbound", now=datetime.now(UTC)
    )


def _imported(it: Scene, database: Database, email: str, key: str, lead_id: int) -> None:
    file = it.folder / f"stop-{lead_id}.csv"
    file.write_text(f"email,do_not_mail\n{email},yes\n", encoding="utf-8")
    leads.import_leads(
        database, it.world.home, file, mapping={}, consent=None, dry_run=False,
        now=datetime.now(UTC),
    )  # fmt: skip


def _erased(it: Scene, database: Database, email: str, key: str, lead_id: int) -> None:
    people.erase_person(database, it.world.home, email, now=datetime.now(UTC))


_WAYS: dict[str, Callable[[Scene, Database, str, str, int], None]] = {
    "one-click": _one_click,
    "unsubscribe at the provider": partial(_reported, "unsubscribe"),
    "spam report": partial(_reported, "spamreport"),
    "reply": _reply,
    "import": _imported,
    "erasure": _erased,
}
