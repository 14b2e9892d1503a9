"""What every door shares: the home, the database, the inbox, the clock, and counters for the operator."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from pigeonry.config import Home
from pigeonry.delivery.base import secret_text
from pigeonry.delivery.tracking import Tracker
from pigeonry.domain.clock import Clock
from pigeonry.errors import ConfigError, OutsideFailure
from pigeonry.service.inbox import Inbox
from pigeonry.store.session import Database
from pigeonry.web.limits import Budget, Rate

log = logging.getLogger("pigeonry.web")

HIT_SECONDS = 2.0  # a person does not wait longer for our bookkeeping
COMMIT_SECONDS = 10.0  # a provider does not wait longer; it comes again


@dataclass
class Site:
    """One running web app."""

    home: Home
    db: Database
    inbox: Inbox
    tracker: Tracker
    clock: Clock
    max_body: int
    rate: Rate = field(default_factory=Rate)
    counts: Counter[str] = field(default_factory=Counter)
    budgets: Mapping[str, Budget] = field(
        default_factory=lambda: {
            "sendgrid": Budget(48_000_000),
            "inbound": Budget(24_000_000),
            "conversions": Budget(16_000_000),
            "crm": Budget(24_000_000),
            "forms": Budget(4_000_000),
            "console": Budget(16_000_000),
        }
    )
    crm_came: threading.Event = field(default_factory=threading.Event)  # news of a CRM is stored
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, number: int = 1) -> None:
        """Visible in /health."""
        with self._lock:
            self.counts[name] += number

    def ip(self, request: Request) -> str:
        """The visitor's address. A proxy of ours appends it to X-Forwarded-For; what stands before it
        there is the visitor's own claim."""
        if self.home.settings.web.trust_proxy:
            last = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            if last:
                return last[:45]
        return request.client.host if request.client else ""

    def secret(self, name: str) -> str:
        """A secret as it is now, so that a new one counts without a restart; "" when it is not set."""
        try:
            return secret_text(self.home, name)
        except ConfigError:
            return ""

    async def keep(self, source: str, body: bytes, headers: Mapping[str, object]) -> None:
        """Returns once the body is on the disk; raises OutsideFailure when that takes too long."""
        stored = self.inbox.put(source, body, at=self.clock(), headers=headers)
        try:
            await asyncio.wait_for(asyncio.wrap_future(stored), COMMIT_SECONDS)
        except TimeoutError as error:
            raise OutsideFailure("the database is busy", where=source, transient=True) from error

    async def note(self, hit: bytes) -> None:
        """Keep a hit of our own links. Whoever clicked goes on after HIT_SECONDS in any case."""
        stored = self.inbox.put("own", hit, at=self.clock())
        stored.add_done_callback(lambda done: self.count("lost_hits") if done.exception() else None)
        waiting = asyncio.shield(asyncio.wrap_future(stored))
        try:
            await asyncio.wait_for(waiting, HIT_SECONDS)
        except TimeoutError:
            self.count("late_hits")
        except Exception:
            log.warning("a click or an open could not be stored", exc_info=True)


def site(request: Request) -> Site:
    found = request.app.state.site
    assert isinstance(found, Site)
    return found


TheSite = Annotated[Site, Depends(site)]
