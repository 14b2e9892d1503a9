"""The way out of RFC 8058: whoever has the mail leaves with one POST; nobody else, and nobody by looking."""

from __future__ import annotations

import hashlib
import random
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pigeonry.config import Home
from pigeonry.prove import website
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.website import FORM, ONE_CLICK, Mail, Website
from pigeonry.prove.world import World, make_campaign, make_home, make_world, plan_more
from pigeonry.service.people import show_person
from pigeonry.service.sending import send_campaign

_OLD = timedelta(days=61)  # RFC 8058 and the providers want the link to work for 60 days
_MOST_SECONDS = 1.0
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_LOOKS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
_PREFETCH = {
    "Purpose": "prefetch",
    "Sec-Purpose": "prefetch;prerender",
    "X-Moz": "prefetch",
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 HeadlessChrome/142.0",
}
_MULTIPART = {"Content-Type": "multipart/form-data; boundary=part"}
_MULTIPART_BODY = b'--part\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--part--\r\n'


def one_click(setting: Setting) -> list[Outcome]:
    """Mails that were sent 61 days ago and today, with a new signing key in between; the links are taken from
    the mails, and the web app is a process of its own."""
    lot = random.Random(setting.seed)  # noqa: S311 - repeatable on purpose
    people = max(6, min(60, setting.messages // 16))
    tries = min(10_000, setting.messages * 10)
    with tempfile.TemporaryDirectory(prefix="prove-") as name:
        folder, port = Path(name), website.free_port()
        home = make_home(
            folder / "home", channel="file", url="", port=0, limits=Limits(),
            more=website.settings(port),
        )  # fmt: skip
        world = make_world(home, people=people)
        _send(world, at=datetime.now(UTC) - _OLD)
        old = website.mails(home.outbox)
        with website.running(home, folder / "web.log") as site:
            abused = _abuse(site, home, old, tries, lot)
            looked = _look(site, home, old)
        (home.path / "secrets" / "links-2.key").write_bytes(secrets.token_bytes(32))
        campaign_id, _ = make_campaign(
            world.database, channel="file", at=datetime.now(UTC), occurrence="later"
        )
        later = World(home, world.database, campaign_id)
        plan_more(later, people)
        _send(later, at=datetime.now(UTC))
        fresh = [mail for mail in website.mails(home.outbox) if mail not in old]
        with website.running(home, folder / "web.log") as site:
            outcomes = [
                _leave(site, world, f"a mail of 61 days ago, key since replaced ({people})", old),
                _leave(site, world, f"a mail of today ({people})", fresh),
            ]
        world.database.dispose()
    return [abused, looked, *outcomes]


def _send(world: World, *, at: datetime) -> None:
    send_campaign(world.database, world.home, world.campaign_id, now=lambda: at, patience=0.0)


def _abuse(
    site: Website, home: Home, mails: Sequence[Mail], tries: int, lot: random.Random
) -> Outcome:
    before, accepted, broke = _everything(home), 0, 0
    for token in _wrong(lot, mails, tries):
        answer = site.ask("POST", f"/u/{token}", body=ONE_CLICK, headers=FORM)
        accepted += answer.status < 400
        broke += answer.status >= 500
    changed = int(_everything(home) != before)
    return Outcome(
        "random and mutated tokens",
        not (accepted or broke or changed),
        {"tokens": tries, "accepted": accepted, "server errors": broke, "changes": changed},
    )


def _wrong(lot: random.Random, mails: Sequence[Mail], tries: int) -> Iterator[str]:
    """Tokens that are nobody's. Each is made of letters that a token may have, so that a reader who forgives
    much has nothing to forgive."""
    good = [mail.one_click.removeprefix("/u/") for mail in mails]
    foreign = [
        path[3:].removesuffix(".gif") for mail in mails for path in (*mail.clicks, mail.picture)
    ]
    made = 0
    while made < tries:
        token, other = lot.sample(good, 2)
        place = lot.randrange(len(token))
        letters = list(token)
        for spot in lot.sample(range(len(token)), lot.randint(1, 4)):
            letters[spot] = lot.choice(_LETTERS.replace(letters[spot], ""))
        found = lot.choice(
            (
                "".join(lot.choice(_LETTERS) for _ in token),
                "".join(letters),
                "".join(letters),
                token[:place] + other[place:],
                token[:place],
                token[:place] + lot.choice(_LETTERS) + token[place:],
                token[:18] + "a" * (len(token) - 18),  # whose, but no signature
                other[:18] + token[18:],  # one person's, signed for another
                lot.choice(foreign),  # signed by us for something else
                lot.choice(foreign)[: len(token)],
            )
        )
        if found and found not in good:
            made += 1
            yield found


def _look(site: Website, home: Home, mails: Sequence[Mail]) -> Outcome:
    before, asked, broke = _everything(home), 0, 0
    for mail in mails:
        for method in _LOOKS:
            for tail in ("", "?List-Unsubscribe=One-Click", "/preferences?paused_days=30"):
                answer = site.ask(method, mail.one_click + tail, headers=_PREFETCH)
                asked += 1
                broke += answer.status >= 500
    for mail in mails:  # and posts that do not say what RFC 8058 wants them to say
        for body in (
            b"",
            b"List-Unsubscribe=",
            b"Unsubscribe=One-Click",
            b"x=List-Unsubscribe%3DOne-Click",
        ):
            asked += 1
            broke += site.ask("POST", mail.one_click, body=body, headers=FORM).status != 400
    changed = int(_everything(home) != before)
    return Outcome(
        "looks, prefetches and posts of something else",
        not (broke or changed),
        {"requests": asked, "wrong answers": broke, "changes": changed},
    )


@dataclass
class _Left:
    """What was found wrong, and how long the slowest took."""

    failed: int = 0
    moved: int = 0  # redirects and cookies
    changed: int = 0
    slowest: float = 0.0


def _leave(site: Website, world: World, trial: str, mails: Sequence[Mail]) -> Outcome:
    """Every second person leaves, by turns in each encoding that RFC 8058 allows; the others stay."""
    leaving, staying, found = mails[::2], mails[1::2], _Left()
    for number, mail in enumerate(leaving):
        body, headers = (_MULTIPART_BODY, _MULTIPART) if number % 2 else (ONE_CLICK, FORM)
        began = time.monotonic()
        first = site.ask("POST", mail.one_click, body=body, headers=headers)
        out = not _mailable(world, mail.to)
        found.slowest = max(found.slowest, time.monotonic() - began)
        found.failed += first.status != 200 or not out
        before = _everything(world.home)
        again = site.ask("POST", mail.one_click, body=body, headers=headers)
        found.failed += again.status != 200
        found.changed += _everything(world.home) != before
        found.moved += sum(
            bool(answer.all("location") or answer.all("set-cookie")) for answer in (first, again)
        )
    gone = sum(not _mailable(world, mail.to) for mail in staying)
    return Outcome(
        trial,
        bool(leaving)
        and not (found.failed or found.moved or found.changed or gone)
        and found.slowest < _MOST_SECONDS,
        {
            "one clicks": len(leaving),
            "failed": found.failed,
            "slowest, s": round(found.slowest, 3),
            "redirects or cookies": found.moved,
            "changes by a second one": found.changed,
            "others put out": gone,
        },
    )


def _mailable(world: World, address: str) -> bool:
    return show_person(world.database, world.home, address, now=datetime.now(UTC)).mailable


def _everything(home: Home) -> str:
    """A hash of every row of every table, read past all of our own code."""
    digest = hashlib.sha256()
    with sqlite3.connect(f"file:{home.path / 'pigeonry.db'}?mode=ro", uri=True) as database:
        for line in database.iterdump():
            digest.update(line.encode())
    database.close()
    return digest.hexdigest()
