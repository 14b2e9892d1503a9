"""Machines that open and click are told from people, and neither can silence the other."""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.address import address_hash
from pigeonry.prove import website
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.mailboxes import HIDDEN, LISTED, PAGES, WAY_OUT, Deed, Happening, mailbox
from pigeonry.prove.website import Mail
from pigeonry.prove.world import World, make_home, make_world
from pigeonry.service import events, subscriptions
from pigeonry.service.sending import send_campaign

_AGO = timedelta(days=3)
_LEAST = 0.9  # of precision and of recall
_FLOOR = 0.5  # an event that is less likely a person's is a machine's
_BODY = 400  # events of one body


@dataclass(frozen=True, slots=True)
class _Seen:
    """A happening as it is reported: by our own links, or by the provider."""

    mail: Mail
    what: Happening
    id: str
    at: datetime

    def url(self) -> str:
        if self.what.page == WAY_OUT:
            return f"http://127.0.0.1{self.mail.one_click}"
        return PAGES[max(0, self.what.page)]

    def own(self) -> dict[str, Any]:
        return {
            "id": self.id, "kind": self.what.deed.value, "send_key": self.mail.key, "link": 1,
            "url": self.url() if self.what.deed is Deed.CLICK else "", "hidden": self.what.page == HIDDEN,
            "at": self.at.isoformat(), "useragent": self.what.agent, "ip": self.what.ip,
        }  # fmt: skip

    def provider(self) -> dict[str, Any]:
        found = {
            "sg_event_id": self.id, "event": self.what.deed.value, "send_key": self.mail.key,
            "email": self.mail.to, "timestamp": int(self.at.timestamp()), "url": self.url(),
            "useragent": self.what.agent, "ip": self.what.ip,
        }  # fmt: skip
        return found | ({"sg_machine_open": True} if self.what.declared else {})


def bots_do_not_count(setting: Setting) -> list[Outcome]:
    """A SIMULATED trace of what happens to real mails, replayed in random order and judged by the real services.

    The aim of 0.9 is what a report can live with: with the usual mix of machines and people at most one in ten
    opens or clicks is then counted on the wrong side. Precision is the share of true machines among what is
    called one, recall the share of machines that are found. The judging code has never seen the trace; how it
    fares in real mailboxes nobody can know from it."""
    lot = random.Random(setting.seed)  # noqa: S311 - repeatable on purpose
    with tempfile.TemporaryDirectory(prefix="prove-") as name:
        folder = Path(name)
        home = make_home(
            folder / "home", channel="file", url="", port=0, limits=Limits(),
            more=website.settings(website.free_port()).replace(
                "[tracking]\n", '[tracking]\ndatacenters = "networks.txt"\n'
            ),
        )  # fmt: skip
        (home.path / "networks.txt").write_text("\n".join(LISTED), encoding="ascii")
        world = make_world(home, people=max(100, min(2000, setting.messages)))
        sent_at = datetime.now(UTC) - _AGO
        send_campaign(world.database, home, world.campaign_id, now=lambda: sent_at, patience=0.0)
        seen = list(_happened(lot, website.mails(home.outbox), sent_at))
        _report(world, lot, seen)
        outcome = [_judged(home, seen), *_stops(home, seen, website.mails(home.outbox))]
        world.database.dispose()
    return outcome


def _happened(lot: random.Random, mails: Sequence[Mail], sent_at: datetime) -> Iterator[_Seen]:
    until = sent_at + _AGO
    for mail in mails:
        for what in mailbox(lot):
            at = sent_at + timedelta(seconds=what.after)
            if at < until:
                yield _Seen(mail, what, f"{lot.getrandbits(128):032x}", at)


def _report(world: World, lot: random.Random, seen: Sequence[_Seen]) -> None:
    """Of every second mailbox our own links tell, of the others the provider, who also says when it delivered.
    Whoever leaves a mail of ours does it by the page."""
    ours = {mail.key for mail in {one.mail for one in seen} if int(mail.key, 16) % 2}
    lines = [
        json.dumps(one.own())
        for one in seen
        if one.mail.key in ours and one.what.deed is not Deed.LEAVE
    ]
    elements = [one.provider() for one in seen if one.mail.key not in ours]
    elements += [
        {
            "sg_event_id": f"delivered-{mail.key}", "event": "delivered", "send_key": mail.key,
            "email": mail.to, "timestamp": int(min(o.at - timedelta(seconds=o.what.after) for o in group).timestamp()),
        }
        for mail, group in _by_mail(seen).items()
        if mail.key not in ours
    ]  # fmt: skip
    lot.shuffle(lines)
    lot.shuffle(elements)
    now = datetime.now(UTC)
    bodies = [("own", "\n".join(lines[n : n + _BODY])) for n in range(0, len(lines), _BODY)]
    bodies += [
        ("sendgrid", json.dumps(elements[n : n + _BODY])) for n in range(0, len(elements), _BODY)
    ]
    lot.shuffle(bodies)
    for source, body in bodies:
        events.ingest_events(world.database, world.home, body.encode(), source=source, now=now)
    for one in seen:
        if one.mail.key in ours and one.what.deed is Deed.LEAVE:
            token = one.mail.one_click.removeprefix("/u/")
            subscriptions.unsubscribe(world.database, world.home, token, how="page", now=one.at)


def _by_mail(seen: Sequence[_Seen]) -> dict[Mail, list[_Seen]]:
    found: dict[Mail, list[_Seen]] = {}
    for one in seen:
        found.setdefault(one.mail, []).append(one)
    return found


def _judged(home: Home, seen: Sequence[_Seen]) -> Outcome:
    with _database(home) as database:
        human = dict(database.execute("SELECT event_id, human FROM event").fetchall())
    counts: Counter[tuple[str, bool, bool]] = Counter()
    lost = 0
    for one in seen:
        if one.what.deed is Deed.LEAVE:
            continue
        if one.id not in human:
            lost += 1
            continue
        counts[one.what.deed.value, not one.what.person, human[one.id] < _FLOOR] += 1
    numbers: dict[str, Any] = {"SIMULATED mails": len({one.mail.key for one in seen})}
    held = not lost
    for kind in (Deed.OPEN.value, Deed.CLICK.value):
        hits, missed = counts[kind, True, True], counts[kind, True, False]
        false, right = counts[kind, False, True], counts[kind, False, False]
        precision, recall = hits / max(1, hits + false), hits / max(1, hits + missed)
        held = held and min(precision, recall) >= _LEAST
        numbers |= {
            f"{kind}s by machines": hits + missed,
            f"{kind}s by people": false + right,
            f"precision of {kind}s": round(precision, 3),
            f"recall of {kind}s": round(recall, 3),
        }
    return Outcome("machines told from people", held, numbers | {"events lost": lost})


def _stops(home: Home, seen: Sequence[_Seen], mails: Sequence[Mail]) -> list[Outcome]:
    key = home.secret("suppression.key")
    with _database(home) as database:
        stopped = {row[0] for row in database.execute("SELECT address_hash FROM suppression")}
    left = {one.mail.to for one in seen if one.what.deed is Deed.LEAVE}
    out = {mail.to for mail in mails if address_hash(mail.to, key) in stopped}
    scanned = {one.mail.to for one in seen if one.what.page == WAY_OUT and not one.what.person}
    return [
        Outcome(
            "people's departures, scanners' looks at the way out",
            left == out and len(left) > 0 and len(scanned) > 0,
            {
                "people who left": len(left),
                "ignored": len(left - out),
                "mails whose way out a scanner followed": len(scanned),
                "put out by a machine": len(out - left),
            },
        )
    ]


@contextmanager
def _database(home: Home) -> Iterator[sqlite3.Connection]:
    """Past all of our own code."""
    with closing(
        sqlite3.connect(f"file:{home.path / 'pigeonry.db'}?mode=ro", uri=True)
    ) as database:
        yield database
