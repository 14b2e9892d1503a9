"""What people bought or did after a mail, from JSON: an array (or lines) of

    {"id", "email" | "send_key" | "external_id", "at", "value", "currency", "name"}

Money is exact to the millionth; a value that can be read in two ways is refused, not guessed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from feedback.events import CONVERSIONS, EventError, ParsedEvents, Received
from pigeonry.domain import Event, EventKind
from pigeonry.domain.address import canonical_email
from pigeonry.domain.strict_json import elements

_SEND_KEY = re.compile(r"[0-9a-f]{32}")
_MOST = Decimal(10) ** 12  # units of a currency
_AMOUNT = re.compile(
    r"(?P<before>[a-z]{3}|[€£$])?(?P<number>[-+]?\d[\d.,]*)(?P<after>[a-z]{3}|[€£$])?",
    re.IGNORECASE,
)
_SIGNS = {"€": "EUR", "£": "GBP", "LEI": "RON", "LEU": "RON"}
_DAY = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)  # how far another system's clock may be ahead of ours
_FIELDS = ("email", "send_key", "external_id", "at", "value", "currency", "name")

# ISO 4217, the currencies in circulation.
_CODES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF
    GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK
    LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
    OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN
    SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG
    XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())


def parse_conversions(body: bytes, received_at: datetime) -> ParsedEvents:
    """Understand a body. Never raises for what is in it. A `row` in an element, where a file was read,
    is the position that errors name."""
    received, errors = [], []
    for element in elements(body):
        raw = element.value
        if raw is None:
            errors.append(EventError(element.position, element.flaw))
            continue
        row = raw.get("row")
        position = row if type(row) is int else element.position
        try:
            received.append(_received(position, raw, received_at))
        except ValueError as error:
            errors.append(EventError(position, str(error)))
    return ParsedEvents(received, errors)


def money(value: object, currency: object) -> tuple[int, str]:
    """(millionths, ISO 4217 code). Nothing stated is (0, ""). Raises ValueError with a plain reason."""
    stated = _text(currency).upper()
    if value is None or value == "":
        return 0, _currency(stated) if stated else ""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("`value` is no number")
    if isinstance(value, str):
        number, beside = _amount(value)
    else:
        number, beside = Decimal(str(value)), ""
    if beside and stated and _currency(beside) != _currency(stated):
        raise ValueError("`value` and `currency` name two currencies")
    if not number.is_finite() or abs(number) >= _MOST:
        raise ValueError("`value` is beyond any range")
    micros = number * 1_000_000
    if micros != int(micros):
        raise ValueError("`value` has more than six decimals")
    code = stated or beside
    if not code and micros:
        raise ValueError("`value` has no `currency`")
    return int(micros), _currency(code) if code else ""


def _received(position: int, raw: Mapping[str, Any], received_at: datetime) -> Received:
    key = _text(raw.get("send_key")).lower()
    if key and not _SEND_KEY.fullmatch(key):
        raise ValueError("`send_key` is not 32 hexadecimal digits")
    external = _text(raw.get("external_id"))
    address = _text(raw.get("email"))
    if address:
        try:
            address = canonical_email(address)
        except ValueError as error:
            raise ValueError(f"`email` is no address: {error}") from error
    if not (key or external or address):
        raise ValueError("it names nobody: give `email`, `send_key` or `external_id`")
    at = moment(raw.get("at"))
    if at > received_at + _AHEAD:
        raise ValueError("`at` lies in the future")
    micros, currency = money(raw.get("value"), raw.get("currency"))
    event = Event(
        id=_event_id(raw),
        source=CONVERSIONS,
        kind=EventKind.CONVERSION,
        at=at,
        send_key=key,
        reason=_text(raw.get("name"))[:200],
        value_micros=micros,
        currency=currency,
    )
    return Received(event, address, position, external_id=external[:200])


def _event_id(raw: Mapping[str, Any]) -> str:
    """The caller's id, else a hash of what is stated: the same purchase told twice counts once."""
    given = _text(raw.get("id"))
    if given:
        return (
            given if len(given) <= 128 else f"sha256:{hashlib.sha256(given.encode()).hexdigest()}"
        )
    stated = {name: _text(raw.get(name)) for name in _FIELDS}
    canonical = json.dumps(stated, sort_keys=True, ensure_ascii=True)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _currency(code: str) -> str:
    found = _SIGNS.get(code, code)
    if found not in CURRENCIES:
        raise ValueError("`currency` is no ISO 4217 code, such as RON or EUR")
    return found


def _amount(text: str) -> tuple[Decimal, str]:
    """A number as people write it, and the currency that stands beside it."""
    found = _AMOUNT.fullmatch(re.sub(r"[\s'’]", "", text))
    if found is None or (found["before"] and found["after"]):
        raise ValueError("`value` is no number")
    number = found["number"]
    beside = (found["before"] or found["after"] or "").upper()
    marks = [mark for mark in number if mark in ".,"]
    whole, fraction = number, ""
    if len(set(marks)) == 2:
        whole, _, fraction = number.rpartition(marks[-1])
        if marks.count(marks[-1]) > 1:
            raise ValueError("`value` is no number")
    elif len(marks) == 1:
        whole, _, fraction = number.partition(marks[0])
        if len(fraction) == 3 and 1 <= len(whole.strip("+-")) <= 3 and whole.strip("+-") != "0":
            raise ValueError("`value` may be read in two ways: write 1234 or 1.2340")
    groups = re.split("[.,]", whole.strip("+-"))
    if len(groups) > 1 and not (
        1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    ):
        raise ValueError("`value` is no number")
    sign = "-" if number.startswith("-") else ""
    try:
        return Decimal(f"{sign}{''.join(groups)}.{fraction or '0'}"), beside
    except InvalidOperation as error:
        raise ValueError("`value` is no number") from error


def moment(value: object) -> datetime:
    """A moment as other systems write it: ISO 8601 (without a zone: UTC), seconds or milliseconds since
    1970, or a day such as 31.03.2026 14:05. Raises ValueError with a plain reason."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if value >= 10**11 else value
        if not _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
            raise ValueError("`at` lies outside the years 2000 to 2099")
        return datetime.fromtimestamp(seconds, UTC)
    text = _text(value)
    if not text:
        raise ValueError("`at` is missing")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = _day(text)
    try:
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("`at` lies outside the years 2000 to 2099") from error
    if not _EARLIEST <= found < _LATEST:
        raise ValueError("`at` lies outside the years 2000 to 2099")
    return found


def _day(text: str) -> datetime:
    read = _DAY.fullmatch(text)
    if read is None:
        raise ValueError("`at` is no date: write 2026-03-31T14:05:00+03:00")
    first, mark, second, year = int(read[1]), read[2], int(read[3]), int(read[4])
    day, month = first, second
    if mark != "." and first <= 12 and first != second:  # a dot is always the day's
        if second <= 12:
            raise ValueError("`at` may be read in two ways: write 2026-03-31")
        day, month = second, first
    try:
        return datetime(
            year, month, day, int(read[5] or 0), int(read[6] or 0), int(read[7] or 0), tzinfo=UTC
        )
    except ValueError as error:
        raise ValueError("`at` is no day of the calendar") from error


def _text(value: object) -> str:
    """Text that every database can hold: no NUL, no lone surrogate. Other types give ""."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd").strip()
