"""SIMULATED mailboxes: who opens and clicks in each, and when, every happening labelled a person's or a machine's.

How they behave is invented here, from what vendors and postmasters write about their scanners and proxies, and
without a look at the weights by which we judge. Its score was seen once, though: while prefetching proxies that are
declared still came with browsers' names, 0.81 of the machine opens were found. They now come as the bare "Mozilla/5.0"
that nine in ten of them use here, and no source says that share. Nothing that is measured on it says how real mailboxes
fare.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

PAGES = tuple(f"https://scoala.example/{name}" for name in ("curs", "orar", "profesori"))
LISTED, UNLISTED = ("198.18.0.0/16", "198.19.0.0/17"), "203.0.113.0/24"
_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/143.0.0.0 Safari/537.36 Edg/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
)
_TOOLS = (
    "Barracuda Sentinel (EE)", "Mozilla/5.0 (compatible; MSIE 10.0; Proofpoint URL Defense)", "python-requests/2.32.5",
    "Go-http-client/2.0", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/140.0 Safari/537.36",
    "Java/17.0.9", "",
)  # fmt: skip
_PREVIEWS = (
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
)
_GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


class Deed(StrEnum):
    OPEN = "open"
    CLICK = "click"
    LEAVE = "unsubscribe"  # by the page or the mail program's own button


@dataclass(frozen=True, slots=True)
class Happening:
    """`after` is seconds since delivery; `page` counts `PAGES`, then the way out (-1) and the hidden link (-2)."""

    deed: Deed
    after: float
    person: bool
    agent: str = ""
    ip: str = ""
    page: int = 0
    declared: bool = False  # the provider itself calls it a machine's open


HIDDEN, WAY_OUT = -2, -1


def mailbox(lot: random.Random) -> list[Happening]:
    """What happens to one mail, in no particular order."""
    found: list[Happening] = []
    drawn = lot.random()
    if drawn < 0.10:
        found += _gateway(lot)
    elif drawn < 0.16:
        found += _sandbox(lot)
    elif drawn < 0.18:
        found += _preview(lot)
    if lot.random() < 0.35:
        found += _prefetched(lot)
    if lot.random() < 0.5:
        found += _person(lot)
    return found


def _gateway(lot: random.Random) -> list[Happening]:
    """A scanner in front of the mailbox follows every link of the mail in a burst, most see the hidden one too,
    and the way out: some seconds after delivery, from a data centre that is mostly a known one."""
    agent = lot.choice((*_TOOLS, _BROWSERS[0], _BROWSERS[0]))
    ip, at = _machine_room(lot, 0.7), lot.uniform(0.5, 90)
    pages = [0, 1, 2, WAY_OUT, *([HIDDEN] if lot.random() < 0.75 else [])]
    lot.shuffle(pages)
    found = []
    if lot.random() < 0.4:
        found.append(Happening(Deed.OPEN, at, False, agent, ip))
    for page in pages:
        found.append(Happening(Deed.CLICK, at, False, agent, ip, page))
        at += lot.expovariate(1.5)
    return found


def _sandbox(lot: random.Random) -> list[Happening]:
    """A slow one: one or two links, minutes or hours later, and it calls itself a browser half of the time."""
    agent = lot.choice((_TOOLS[4], _TOOLS[2], _BROWSERS[0], _BROWSERS[3]))
    ip, at = _machine_room(lot, 0.8), lot.lognormvariate(6, 2)
    found = [Happening(Deed.CLICK, at, False, agent, ip, lot.choice((0, 1, 2, WAY_OUT)))]
    if lot.random() < 0.4:
        found.append(Happening(Deed.CLICK, at + lot.uniform(1, 40), False, agent, ip, HIDDEN))
    return found


def _preview(lot: random.Random) -> list[Happening]:
    """Somebody pasted the link into a chat, and the chat's robot looks at it."""
    at = lot.lognormvariate(8, 1.5)
    return [Happening(Deed.CLICK, at, False, lot.choice(_PREVIEWS), _machine_room(lot, 0.5), 0)]


def _prefetched(lot: random.Random) -> list[Happening]:
    """Mail programs that load every picture through a proxy, whether anybody reads or not. The largest of them calls
    itself by two words only, which is how a provider knows it; the others look like browsers."""
    agent = "Mozilla/5.0" if lot.random() < 0.9 else lot.choice(_BROWSERS)
    declared = agent == "Mozilla/5.0" and lot.random() < 0.8
    at = lot.expovariate(1 / 3600)
    return [Happening(Deed.OPEN, at, False, agent, _machine_room(lot, 0.3), declared=declared)]


def _person(lot: random.Random) -> list[Happening]:
    """Reads after minutes or hours; some are fast, some look at every page, some browse through their firm's data
    centre, some send no agent. Of those who click or not, some leave."""
    fast, thorough = lot.random() < 0.04, lot.random() < 0.04
    agent = "" if lot.random() < 0.01 else lot.choice(_BROWSERS)
    ip = _machine_room(lot, 0.5) if lot.random() < 0.02 else _at_home(lot)
    at = lot.uniform(4, 30) if fast else 20 + lot.lognormvariate(8, 1.8)
    reader = _GMAIL if lot.random() < 0.35 else agent
    found = [Happening(Deed.OPEN, at, True, reader, ip)]
    pages = [0, 1, 2] if thorough else [lot.randrange(3)] if lot.random() < 0.35 else []
    for page in pages:
        at += lot.uniform(2, 12) if fast else lot.uniform(6, 120)
        found.append(Happening(Deed.CLICK, at, True, agent, ip, page))
    if lot.random() < (0.3 if fast or thorough else 0.06):
        found.append(Happening(Deed.LEAVE, at + lot.uniform(1, 20), True, agent, ip))
    return found


def _machine_room(lot: random.Random, listed: float) -> str:
    if lot.random() < listed:
        return f"198.18.{lot.randrange(256)}.{lot.randrange(1, 255)}"
    return f"203.0.113.{lot.randrange(1, 255)}"


def _at_home(lot: random.Random) -> str:
    return f"{lot.choice(('86.120', '188.24', '79.112', '5.12'))}.{lot.randrange(256)}.{lot.randrange(1, 255)}"
