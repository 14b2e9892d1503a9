"""What a campaign wants. Facts live here and nowhere else: copy may say only what a brief says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from pigeonry.domain.lead import Language


class Purpose(StrEnum):
    """What a mail is for; one master template a purpose in `templates/copy/<language>/`."""

    WELCOME = "welcome"
    LAUNCH = "launch"
    OFFER = "offer"
    REMINDER = "reminder"
    LAST_CALL = "last-call"
    WIN_BACK = "win-back"
    EVENT = "event"
    GUIDE = "guide"
    COURSE = "course"
    FEEDBACK = "feedback"
    NEWS = "news"
    THANK_YOU = "thank-you"


class Address(StrEnum):
    """Romanian address: `tu` or `dumneavoastră`, kept throughout a mail."""

    INFORMAL = "informal"
    FORMAL = "formal"


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """Who writes. Romanian law wants the company named in every commercial mail."""

    name: str
    email: str
    company: str
    address: str
    company_id: str = ""  # CUI
    register: str = ""  # trade register number, J.../...
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """The brief's facts as they are worded in one language.

    `product` is a name used as is. `benefits` are short noun phrases or clauses without a final
    stop, `facts` whole sentences, `offer` a noun phrase ("20% off the first month"), `audience` a plural
    noun phrase. All are data, never template source.
    """

    product: str
    benefits: tuple[str, ...]
    facts: tuple[str, ...] = ()
    offer: str = ""
    conditions: str = ""
    audience: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths in characters. A value that ends exactly at a limit was cut and is refused."""

    subject_max: int = 60
    preheader_max: int = 100
    banned: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """Shares are fractions. `wait_hours` is how long the test wave ripens before the rest goes out."""

    variants: int = 2
    holdout: float = 0.1
    test_share: float = 0.2
    wait_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Brief:
    name: str
    purpose: Purpose
    languages: tuple[Language, ...]
    wording: Mapping[Language, Wording]
    link: str
    sender: SenderIdentity
    tone: str = "friendly"
    address: Address = Address.INFORMAL
    price: Decimal | None = None
    currency: str = "RON"
    code: str = ""
    starts: date | None = None
    ends: date | None = None
    event_date: date | None = None
    event_time: str = ""
    limits: Limits = field(default_factory=Limits)
    experiment: ExperimentPlan = field(default_factory=ExperimentPlan)
    budget_micros: int = (
        0  # cap for model calls, millionths of `budget_currency`; 0: only free tiers
    )
    budget_currency: str = "EUR"
    countries: tuple[str, ...] = ()
    topic: str = ""  # one that people may decline on their preference page; "": of none
    source: str = ""  # the TOML text it came from
