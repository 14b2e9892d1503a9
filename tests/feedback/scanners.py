"""A SIMULATED trace of opens and clicks, each labelled as a person's or a machine's.

How its people and scanners behave is invented here, from what vendors and postmasters describe, without
looking at the weights of `feedback.machines`: nothing measured on it says anything about real mailboxes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feedback.machines import DECLARED_MACHINE_OPEN, HEAD_REQUEST, HIDDEN_LINK
from pigeonry.domain import Event, EventKind

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LINKS = tuple(f"https://shop.example/{name}" for name in ("news", "offer", "about"))
# Two networks of machines; the list that the test hands over knows the first only.
LISTED, UNLISTED = "192.0.2.", "198.51.100."
HOMES = ("86.120.{}.{}", "188.24.{}.{}", "79.112.{}.{}")
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15",
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One mail's events with who did each: True for a person."""

    events: tuple[Event, ...]
    person: tuple[bool, ...]


def trace(mails: int, seed: int) -> list[Labelled]:
    """`mails` mailboxes: some are read by people, some looked at by machines first, some both."""
    lot = random.Random(seed)
    return [_Mailbox(lot, number).labelled() for number in range(mails)]


class _Mailbox:
    def __init__(self, lot: random.Random, number: int) -> None:
        self.lot = lot
        self.number = number
        self.found: list[tuple[Event, bool]] = []
        self.delivered = START + timedelta(seconds=lot.uniform(0, 3600))
        self._add(EventKind.DELIVERED, 0, person=True, agent="", ip="")

    def labelled(self) -> Labelled:
        lot = self.lot
        guarded = lot.random()
        if guarded < 0.10:
            self._gateway()
        elif guarded < 0.16:
            self._quiet_gateway()
        elif guarded < 0.19:
            self._prober()
        if lot.random() < 0.30:
            self._apple()
        elif lot.random() < 0.10:
            self._declared()
        if lot.random() < 0.45:
            self._person()
        return Labelled(
            tuple(event for event, _ in self.found), tuple(person for _, person in self.found)
        )

    def _person(self) -> None:
        """Opens some time later, now and then at once; may click one link, seldom two."""
        lot = self.lot
        waited = 1 + lot.lognormvariate(7.5, 2.0)
        agent = lot.choice(BROWSERS)
        ip = lot.choice(HOMES).format(lot.randrange(256), lot.randrange(256))
        opener = GMAIL if lot.random() < 0.4 else agent
        where = LISTED + "9" if opener == GMAIL and lot.random() < 0.5 else ip
        self._add(EventKind.OPEN, waited, person=True, agent=opener, ip=where)
        if lot.random() < 0.3:
            waited += lot.uniform(4, 90)
            self._click(waited, lot.choice(LINKS), True, agent, ip)
            if lot.random() < 0.2:
                self._click(waited + lot.uniform(8, 300), lot.choice(LINKS), True, agent, ip)

    def _gateway(self) -> None:
        """Follows every link in a second or two, the hidden one too when it reads the HTML."""
        lot = self.lot
        waited = lot.uniform(1, 60)
        agent = lot.choice(
            (BROWSERS[0], "Mozilla/5.0 Barracuda Sentinel", "python-requests/2.32", "")
        )
        ip = lot.choice((LISTED, UNLISTED)) + str(lot.randrange(256))
        if lot.random() < 0.5:
            self._add(EventKind.OPEN, waited, person=False, agent=agent, ip=ip)
        for link in LINKS:
            self._click(waited, link, False, agent, ip)
            waited += lot.uniform(0.1, 1.5)
        if lot.random() < 0.7:
            self._click(waited, LINKS[0], False, agent, ip, HIDDEN_LINK)

    def _quiet_gateway(self) -> None:
        """Takes its time and one link, and calls itself a browser."""
        lot = self.lot
        ip = lot.choice((LISTED, LISTED, UNLISTED)) + str(lot.randrange(256))
        agent = BROWSERS[0]
        waited = lot.uniform(5, 900)
        self._click(waited, lot.choice(LINKS), False, agent, ip)
        if lot.random() < 0.4:
            self._click(waited + lot.uniform(5, 50), LINKS[1], False, agent, ip, HIDDEN_LINK)

    def _prober(self) -> None:
        waited = self.lot.uniform(1, 7200)
        self._click(waited, LINKS[0], False, BROWSERS[0], UNLISTED + "7", HEAD_REQUEST)

    def _apple(self) -> None:
        """Mail Privacy Protection loads all pictures through a proxy, hours around delivery."""
        waited = self.lot.expovariate(1 / 1800)
        self._add(EventKind.OPEN, waited, person=False, agent="Mozilla/5.0", ip=UNLISTED + "5")

    def _declared(self) -> None:
        self._add(
            EventKind.OPEN,
            self.lot.uniform(1, 600),
            person=False,
            agent=BROWSERS[0],
            ip=UNLISTED + "6",
            reason=DECLARED_MACHINE_OPEN,
        )

    def _click(
        self, waited: float, url: str, person: bool, agent: str, ip: str, reason: str = ""
    ) -> None:
        self._add(
            EventKind.CLICK, waited, person=person, agent=agent, ip=ip, reason=reason, url=url
        )

    def _add(
        self,
        kind: EventKind,
        waited: float,
        *,
        person: bool,
        agent: str,
        ip: str,
        reason: str = "",
        url: str = "",
    ) -> None:
        event = Event(
            id=f"{self.number}-{len(self.found)}",
            source="simulated",
            kind=kind,
            at=self.delivered + timedelta(seconds=waited),
            url=url,
            user_agent=agent,
            ip=ip,
            reason=reason,
        )
        self.found.append((event, person))
