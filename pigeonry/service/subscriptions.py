"""What people decide about their own mail: leave, pause, mail me less, and come in by confirming.

Whoever holds a link acts for its one lead. Nothing here tells whether an address is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pigeonry.config import Home
from pigeonry.domain import Language
from pigeonry.store.session import Database


@dataclass(frozen=True, slots=True)
class PreferenceView:
    """What a preference page shows. `address` is masked: i***@e***.ro. `language` None: not stated.
    `weekly_cap` 0: as the sender sees fit."""

    address: str
    language: Language | None
    subscribed: bool
    paused_until: datetime | None
    weekly_cap: int
    topics: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class OptInView:
    """What a confirmation page shows: whose mail (masked), and the words that are agreed to."""

    address: str
    language: Language
    text: str
    text_version: str
    requested_at: datetime
    expires_at: datetime
    confirmed: bool


def unsubscribe(db: Database, home: Home, token: str, *, how: str, now: datetime) -> bool:
    """Never mail this lead again. True: valid, done now or before (also when the lead is erased).

    `how` is "one-click", "page", "mail" or "operator".
    """
    raise NotImplementedError


def preferences(db: Database, home: Home, token: str, *, now: datetime) -> PreferenceView | None:
    """None for a token that we did not sign, or whose lead is no longer stored."""
    raise NotImplementedError


def set_preferences(
    db: Database,
    home: Home,
    token: str,
    *,
    paused_days: int | None,
    weekly_cap: int | None,
    topics: Mapping[str, bool] | None,
    language: str | None,
    now: datetime,
) -> PreferenceView | None:
    """Change what is not None; `paused_days` 0 ends a pause. Raises WrongUse for impossible values."""
    raise NotImplementedError


def request_opt_in(
    db: Database,
    home: Home,
    *,
    email: str,
    language: str,
    text_version: str,
    source: str,
    ip: str,
    now: datetime,
) -> None:
    """Somebody typed an address into a form: queue one confirmation mail to it.

    Behaves the same for known, unknown and suppressed addresses. Raises BadInput for what is no address
    and WrongUse for an unknown language or text version.
    """
    raise NotImplementedError


def opt_in_view(db: Database, home: Home, token: str, *, now: datetime) -> OptInView | None:
    """None for a token that is not ours, is too old, or whose lead is no longer stored."""
    raise NotImplementedError


def confirm_opt_in(
    db: Database, home: Home, token: str, *, ip: str, user_agent: str, now: datetime
) -> bool:
    """The person confirms: consent is granted, with its proof. Call it for a POST only."""
    raise NotImplementedError
