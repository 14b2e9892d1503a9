"""Tells a person's opens and clicks from a machine's. Looks at one message's events and nothing else.

The weights are judgement, not a fit: no labelled data is at hand. Sources are named beside each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from feedback.datacenters import NOWHERE, Networks
from pigeonry.domain import Event, EventKind

HUMAN_FLOOR = 0.5  # an open or click below this probability counts as a machine's

# What an event's reason may say about the open or click itself.
DECLARED_MACHINE_OPEN = "declared machine open"  # sg_machine_open
HIDDEN_LINK = "hidden link"  # a link that no person can see
HEAD_REQUEST = "HEAD request"  # looked whether the link works, did not go there


class Verdict(NamedTuple):
    """The probability that a person did it, and what spoke for a machine, in words."""

    human: float
    why: str


# Odds that a person stands behind an open or a click about which nothing else is known.
_PRIOR_ODDS = {EventKind.OPEN: 3.0, EventKind.CLICK: 4.0}
_NO_QUESTION = Verdict(1.0, "")

_SAID = {
    DECLARED_MACHINE_OPEN: (0.01, "declared as a machine's open"),
    HIDDEN_LINK: (0.0002, "followed a link that nobody can see"),
    HEAD_REQUEST: (0.01, "only asked whether the link works"),
}

# Part of a user agent, in lower case -> factor on the odds. Agents that fetch ahead or inspect links.
# Gmail's and Yahoo's image proxies are not here: they fetch when a person opens the mail.
AGENTS: Mapping[str, float] = {
    "barracuda": 0.01,
    "mimecast": 0.01,
    "proofpoint": 0.01,
    "urldefense": 0.01,
    "safelinks": 0.01,
    "symantec": 0.01,
    "messagelabs": 0.01,
    "fireeye": 0.01,
    "trendmicro": 0.01,
    "cloudmark": 0.01,
    "sophos": 0.01,
    "zscaler": 0.02,
    "headlesschrome": 0.01,
    "phantomjs": 0.01,
    "python-requests": 0.01,
    "python-urllib": 0.01,
    "python-httpx": 0.01,
    "aiohttp": 0.01,
    "go-http-client": 0.01,
    "okhttp": 0.05,
    "apache-httpclient": 0.01,
    "java/": 0.01,
    "curl/": 0.01,
    "wget/": 0.01,
    "libwww-perl": 0.01,
    "bingpreview": 0.01,
    "skypeuripreview": 0.01,
    "slackbot": 0.02,
    "facebookexternalhit": 0.02,
    "googlebot": 0.01,
    "bingbot": 0.01,
    "crawler": 0.01,
    "spider": 0.01,
    "linkcheck": 0.01,
    "prefetch": 0.02,
}
# Agents that are machines only when nothing follows: Apple Mail Privacy Protection calls itself so.
_BARE_AGENTS: Mapping[str, float] = {"mozilla/5.0": 0.02}
_NO_AGENT = 0.2  # a browser always names itself; HEAD-like probes often do not
# Proxies that live in data centres and fetch a picture when a person opens the mail.
_PERSONS_PROXIES = ("googleimageproxy", "yahoomailproxy")

# Seconds after delivery -> factor. putyourlightson/craft-campaign #546: scanners start a median 43 s
# after the send, 66 % within 20-60 s, so the first minute is suspect but by itself proves nothing.
_CLICK_HASTE = ((3.0, 0.02), (10.0, 0.05), (60.0, 0.5))
_OPEN_HASTE = ((2.0, 0.1), (10.0, 0.5))

_BURST = timedelta(seconds=10)  # two links, or three clicks, of one mail within this
_BURST_FACTOR = 0.03
# Who follows the hidden link goes on to the others at once.
_TAINT = timedelta(minutes=1)
_TAINT_FACTOR = 0.01
# Some offices browse through a data centre, so that it does not settle the matter alone for opens.
_DATACENTER = {EventKind.CLICK: 0.04, EventKind.OPEN: 0.1}


def verdicts(
    events: Sequence[Event],
    *,
    accepted_at: datetime | None = None,
    datacenters: Networks = NOWHERE,
) -> list[Verdict]:
    """One verdict for each event of one message, from all of them.

    Delivery is the earliest `delivered` event, else `accepted_at`, else unknown. The result depends
    on the set of events only, never on their order. Kinds other than open and click get 1.0.
    """
    delivered = min(
        (event.at for event in events if event.kind is EventKind.DELIVERED), default=accepted_at
    )
    clicks = [event for event in events if event.kind is EventKind.CLICK]
    hidden = [event.at for event in clicks if event.reason == HIDDEN_LINK]
    found = []
    for event in events:
        odds = _PRIOR_ODDS.get(event.kind)
        if odds is None:
            found.append(_NO_QUESTION)
            continue
        signs = [_said(event), _agent(event), _haste(event, delivered)]
        if event.kind is EventKind.CLICK:
            signs += [_burst(event, clicks), _tainted(event, hidden)]
        if event.ip and datacenters and not _persons_proxy(event) and event.ip in datacenters:
            signs.append((_DATACENTER[event.kind], "from a data centre"))
        words = []
        for factor, word in filter(None, signs):
            odds *= factor
            words.append(word)
        found.append(Verdict(odds / (1.0 + odds), "; ".join(words) or "nothing odd"))
    return found


_Sign = tuple[float, str] | None


def _said(event: Event) -> _Sign:
    return _SAID.get(event.reason)


def _agent(event: Event) -> _Sign:
    agent = event.user_agent.strip().lower()
    if event.reason == DECLARED_MACHINE_OPEN:
        return None
    if not agent:
        return _NO_AGENT, "no agent named"
    if agent in _BARE_AGENTS:
        return _BARE_AGENTS[agent], "a prefetching proxy's agent"
    factor = min((factor for part, factor in AGENTS.items() if part in agent), default=None)
    return None if factor is None else (factor, "a scanner's agent")


def _haste(event: Event, delivered: datetime | None) -> _Sign:
    if delivered is None:
        return None
    seconds = (event.at - delivered).total_seconds()
    if seconds < 0:  # clocks disagree: no evidence
        return None
    table = _CLICK_HASTE if event.kind is EventKind.CLICK else _OPEN_HASTE
    factor = next((factor for limit, factor in table if seconds < limit), None)
    return None if factor is None else (factor, f"{seconds:.0f} s after delivery")


def _burst(event: Event, clicks: Sequence[Event]) -> _Sign:
    near = [other for other in clicks if abs(other.at - event.at) <= _BURST]
    links = len({other.url for other in near})
    if len(near) < 3 and links < 2:
        return None
    return _BURST_FACTOR, f"{len(near)} clicks on {links} links in {_BURST.seconds} s"


def _tainted(event: Event, hidden: Sequence[datetime]) -> _Sign:
    if event.reason == HIDDEN_LINK or not any(abs(at - event.at) <= _TAINT for at in hidden):
        return None
    return _TAINT_FACTOR, "beside a click on the hidden link"


def _persons_proxy(event: Event) -> bool:
    agent = event.user_agent.lower()
    return any(name in agent for name in _PERSONS_PROXIES)
