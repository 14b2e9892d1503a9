"""Tracked links lead where their campaign says, whatever a stranger makes of them."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pigeonry.delivery.tracking import load_tracker
from pigeonry.prove import website
from pigeonry.prove.guarantee import Outcome, Setting
from pigeonry.prove.limits import Limits
from pigeonry.prove.website import Answer, Mail, Website
from pigeonry.prove.world import World, make_campaign, make_home, make_world, plan_more
from pigeonry.service.sending import send_campaign
from pigeonry.service.tracking import mark_links

_LINKS = ("https://scoala.example/curs", "https://scoala.example/tabara?din=mail&loc=2")
_PEOPLE = 12
_EVIL = "evil.example"
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
# Put before, behind or instead of a token. Each names the stranger's host, so that its echo can be found.
_PREFIXES = (
    "//evil.example/", "/\\evil.example/", "\\\\evil.example/", "https://evil.example/",
    "https:evil.example/", "javascript:evil.example//", "data:text/html,evil.example/",
    "%2f%2fevil.example/", "%5c%5cevil.example/", "%252f%252fevil.example/", "user:pass@evil.example/",
    "%0d%0aLocation:%20https://evil.example/%0d%0a", "%E5%98%8A%E5%98%8DLocation:https://evil.example/",
    "..//evil.example/", "%00//evil.example/", "%09//evil.example/",
)  # fmt: skip
_TAILS = (
    "?url=https://evil.example", "?next=//evil.example&to=//evil.example", "#@evil.example",
    "@evil.example", ":pass@evil.example", "//evil.example", "/..//evil.example", "\\\\evil.example",
    "%0d%0aLocation:%20https://evil.example", "%0aSet-Cookie:%20a=evil.example", "%3f//evil.example",
    "%2540evil.example", "%25%30%64%25%30%61Location:evil.example", ";//evil.example",
    "&amp;url=https://evil.example",
)  # fmt: skip
_HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    {"Host": _EVIL},
    {"X-Forwarded-Host": _EVIL, "X-Forwarded-Proto": "http"},
    {"Forwarded": f"host={_EVIL}", "X-Original-URL": f"//{_EVIL}", "X-Rewrite-URL": f"//{_EVIL}"},
    {"Referer": f"https://{_EVIL}/"},
)


@dataclass(frozen=True, slots=True)
class _Try:
    """A request, and where it may lead: "" is nowhere. Only whoever holds a whole link may be led at all."""

    path: str
    home: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def no_open_redirects(setting: Setting) -> list[Outcome]:
    """Links out of the mails of two campaigns, mutated, asked for at the web app in a process of its own. What
    may be answered follows from the briefs alone."""
    lot = random.Random(setting.seed)  # noqa: S311 - repeatable on purpose
    with tempfile.TemporaryDirectory(prefix="prove-") as name:
        folder, port = Path(name), website.free_port()
        home = make_home(
            folder / "home", channel="file", url="", port=0, limits=Limits(),
            more=website.settings(port),
        )  # fmt: skip
        first = make_world(home, people=_PEOPLE)
        other, _ = make_campaign(
            first.database, channel="file", at=datetime.now(UTC), occurrence="other", link=_LINKS[1]
        )
        second = World(home, first.database, other)
        plan_more(second, _PEOPLE)
        for world in (first, second):
            send_campaign(
                world.database, home, world.campaign_id, now=lambda: datetime.now(UTC), patience=0.0
            )
        theirs = (set(first.keys()), set(second.keys()))
        sent = website.mails(home.outbox)
        mails = [[mail for mail in sent if mail.key in keys] for keys in theirs]
        with website.running(home, folder / "web.log") as site:
            whole = [
                _Try(path, link)
                for link, group in zip(_LINKS, mails, strict=True)
                for mail in group
                for path in mail.clicks
            ]
            broken = [
                *_signed_for_nothing(first, second, mails),
                *_wrong_doors(mails),
                *_mutated(lot, mails, min(2000, setting.messages * 2)),
            ]
            outcomes = [
                _asked(site, "links as they stand in the mails", whole, all_lead=True),
                _asked(site, "mutated links", broken, all_lead=False),
            ]
        first.database.dispose()
    return outcomes


def _signed_for_nothing(first: World, second: World, mails: Sequence[Sequence[Mail]]) -> list[_Try]:
    """Links that bear our own signature: another campaign's, a link or a message that there is not."""
    tracker = load_tracker(first.home)
    marked = [
        mark_links(world.database, world.home, world.campaign_id, link)
        for world, link in zip((first, second), _LINKS, strict=True)
    ]
    ids = [(links.link_id, links.trap_id) for links in marked if links is not None]
    urls = [
        tracker.click_url(mail.key, link_id)
        for group, others in ((mails[0], ids[1]), (mails[1], ids[0]))
        for mail in group
        for link_id in (*others, 0, 999_999)
    ]
    urls += [tracker.click_url("0" * 32, link_id) for pair in ids for link_id in pair]
    return [_Try("/" + url.split("/", 3)[3]) for url in urls]


def _wrong_doors(mails: Sequence[Sequence[Mail]]) -> list[_Try]:
    """What we signed for something else, and doors without a token: a missing slash leads to no host."""
    found = [
        _Try(f"{door}{path[3:].removesuffix('.gif')}")
        for group in mails
        for mail in group
        for door, path in (("/t/", mail.picture), ("/t/", mail.one_click), ("/o/", mail.clicks[0]))
    ]
    return found + [
        _Try(f"{lead}{door}", headers=headers)
        for lead in ("", "/", "//evil.example", "/\\evil.example", "http://evil.example")
        for door in ("/t", "/t/", "/o", "/o/", "/c", "/u/", "/health/", "/style.css/")
        for headers in _HEADERS
    ]


def _mutated(lot: random.Random, mails: Sequence[Sequence[Mail]], number: int) -> list[_Try]:
    found: list[_Try] = []
    while len(found) < number:
        side = lot.randrange(2)
        path = lot.choice(lot.choice(mails[side]).clicks)
        other = lot.choice(lot.choice(mails[1 - side]).clicks)
        token, stranger = path[3:], other[3:]
        # Neither within the key's number, which all tokens share, nor so late that the rest may be the same.
        place = lot.randrange(8, len(token) - 20)
        letters = list(token)
        for spot in lot.sample(range(len(token)), lot.randint(1, 4)):
            letters[spot] = lot.choice(_LETTERS.replace(letters[spot], ""))
        changed = "".join(letters)
        headers = lot.choice(_HEADERS)
        tries = (
            _Try(f"/t/{changed}", headers=headers),
            _Try(f"/t/{token[:place]}", headers=headers),
            _Try(f"/t/{token[:place]}{stranger[place:]}", headers=headers),
            _Try(f"/t/{token[:place]}{lot.choice(_LETTERS)}{token[place:]}", headers=headers),
            _Try(f"/t/{lot.choice(_PREFIXES)}{changed}", headers=headers),
            _Try(f"/t/{changed}{lot.choice(_TAILS)}", headers=headers),
            _Try(f"/t/{token[:place]}{lot.choice(_TAILS)}{token[place:]}", headers=headers),
            # A whole link with something around it may lead to its own target, and to nothing else.
            _Try(f"/t/{token}{lot.choice(_TAILS)}", _LINKS[side], headers),
            _Try(f"/t/{lot.choice(_PREFIXES)}{token}", _LINKS[side], headers),
            _Try(
                f"/t/{quote(quote(token + lot.choice(_TAILS), safe=''), safe='')}",
                _LINKS[side],
                headers,
            ),
            _Try(f"http://evil.example/t/{token}", _LINKS[side], headers),
            _Try(f"//evil.example/t/{token}", _LINKS[side], headers),
        )
        found.append(lot.choice(tries))
    return found


def _asked(site: Website, trial: str, tries: Sequence[_Try], *, all_lead: bool) -> Outcome:
    led = elsewhere = forged = broke = echoed = 0
    for one in tries:
        answer = site.ask("GET", one.path, headers=one.headers)
        places = answer.all("location")
        led += places == [one.home]
        elsewhere += any(place != one.home for place in places) or len(places) > 1
        forged += bool(answer.all("set-cookie") or answer.all("refresh"))
        broke += answer.status >= 500
        echoed += _names_the_stranger(answer)
    return Outcome(
        trial,
        not (elsewhere or forged or broke or echoed) and (led == len(tries) or not all_lead),
        {
            "links": len(tries),
            "led to their own target": led,
            "led elsewhere": elsewhere,
            "forged headers": forged,
            "stranger's host in the answer": echoed,
            "server errors": broke,
        },
    )


def _names_the_stranger(answer: Answer) -> bool:
    head = " ".join(value for _, value in answer.headers)
    return _EVIL in head or _EVIL.encode() in answer.body
