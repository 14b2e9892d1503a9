"""What single cells mean: missing values, yes and no, dates, languages, zones, people's names.

Each function takes text as it was typed and knows no columns and no files.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from functools import lru_cache

from audience.folding import fold
from pigeonry.domain import Language

# What forms and exports write where nothing was chosen or known, after `fold`. "na" is not among them
# for countries: it is Namibia.
_MISSING = frozenset(
    (
        "",
        "select", "please select", "select one", "select an option", "choose", "please choose",
        "alege", "alegeti", "selecteaza", "selectati", "selectare", "neselectat",
        "n a", "na", "not available", "not applicable", "not specified", "not set", "not provided",
        "nespecificat", "necunoscut", "necunoscuta", "nu se aplica", "fara", "lipsa",
        "null", "none", "nil", "nan", "undefined", "unknown", "blank", "empty", "no value", "tbd", "tba",
    )
)  # fmt: skip
_YES = frozenset(
    (
        "yes", "y", "true", "t", "1", "1 0", "x", "on", "da", "d", "ok", "agreed", "agree", "accept",
        "accepted", "accepta", "accepts", "granted", "given", "consented", "opted in", "opt in",
        "optin", "subscribed", "abonat", "abonata", "de acord", "sunt de acord", "confirmed",
        "confirmat", "active", "activ", "adevarat",
    )
)  # fmt: skip
_NO = frozenset({"no", "n", "false", "f", "0", "off", "nu", "0 0", "fals", "never", "niciodata"})
_LANGUAGES = {
    "ro": Language.RO, "romanian": Language.RO, "romana": Language.RO, "limba romana": Language.RO,
    "rumana": Language.RO, "roumain": Language.RO, "rumanisch": Language.RO, "ron": Language.RO,
    "rum": Language.RO, "moldovan": Language.RO, "mo": Language.RO, "romaneste": Language.RO,
    "en": Language.EN, "english": Language.EN, "engleza": Language.EN, "limba engleza": Language.EN,
    "eng": Language.EN, "anglais": Language.EN, "englisch": Language.EN, "ingles": Language.EN,
}  # fmt: skip
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ].*)?\Z")
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})(?:[T ].*)?\Z")
_YEAR_LAST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[T ].*)?\Z")


_DIGIT = re.compile(r"\d")


def missing(text: str) -> bool:
    """Whether a cell says that nothing is known: empty, dashes, Select, N/A, null, ..."""
    return len(text) <= 24 and not _DIGIT.search(text) and fold(text) in _MISSING


def visible(text: str) -> tuple[str, bool]:
    """The text without control, bidirectional and zero-width characters, in NFC; and whether there were
    any. Line ends and tabs stay."""
    if text.isprintable() and text.isascii():
        return text, False
    clean = _HIDDEN.sub("", text)
    return unicodedata.normalize("NFC", clean).strip(), clean != text


def one_line(text: str) -> str:
    """Runs of white space, line ends among them, as one space."""
    return " ".join(text.split())


def yes(text: str) -> bool | None:
    """True, False, or None for a word that is neither."""
    word = fold(text)
    return True if word in _YES else False if word in _NO else None


@lru_cache(4096)
def language(text: str) -> Language | None:
    """Romanian or English as somebody wrote it: `ro-RO`, `Română`, `en_US`, `English (UK)`."""
    word = fold(text)
    return _LANGUAGES.get(word) or _LANGUAGES.get(word.split(" ")[0]) if word else None


@lru_cache(4096)
def timezone(text: str) -> str:
    """An IANA zone as somebody wrote it (`Europe/Bucharest`, HubSpot's `europe_slash_bucharest`,
    `Bucharest`), "" where nobody can tell."""
    name = text.strip().replace("_slash_", "/").replace(" ", "_")
    found = _zones().get(name.casefold())
    if found is None and "/" not in name:
        found = _cities().get(name.casefold())
    return found or ""


def names_of(full: str, *, last_first: bool) -> tuple[str, str]:
    """First and last name out of one cell. `Popescu, Ion` is read as written; otherwise the header says
    which comes first."""
    before, comma, after = full.partition(",")
    if comma and after.strip():
        return after.strip(), before.strip()
    words = full.split()
    if len(words) < 2:
        return full.strip(), ""
    if last_first:
        return " ".join(words[1:]), words[0]
    return words[0], " ".join(words[1:])


def day(text: str) -> tuple[date, ...] | None:
    """The dates that a cell may mean; () for one that does not exist (31.02.2026); None for no date.

    `03/04/2026` may mean two: nobody knows who wrote it. Dots are always day first.
    """
    text = text.strip()
    if found := _ISO.match(text) or _YEAR_FIRST.match(text):
        return _existing((int(found[1]), int(found[2]), int(found[3])))
    if found := _YEAR_LAST.match(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        readings = [(year, second, first)]
        if found[2] != ".":
            readings.append((year, first, second))
        return _existing(*readings)
    return None


def past(text: str, now: datetime) -> bool | None:
    """True for a date that is over whatever it means, False for an impossible or a future one, None
    for a text that is no date."""
    found = day(text)
    if found is None:
        return None
    return bool(found) and all(one <= now.astimezone(UTC).date() for one in found)


def _existing(*readings: tuple[int, int, int]) -> tuple[date, ...]:
    found = set()
    for year, month, number in readings:
        try:
            found.add(date(year, month, number))
        except ValueError:
            continue
    return tuple(sorted(found))


@lru_cache(1)
def _zones() -> dict[str, str]:
    from zoneinfo import available_timezones

    return {name.casefold(): name for name in available_timezones() if "/" in name or name == "UTC"}


@lru_cache(1)
def _cities() -> dict[str, str]:
    """Zones by their city, where it names one zone only."""
    found: dict[str, set[str]] = {}
    areas = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
    for name in _zones().values():
        if name.split("/")[0] in areas:
            found.setdefault(name.rsplit("/", 1)[1].casefold(), set()).add(name)
    return {city: next(iter(zones)) for city, zones in found.items() if len(zones) == 1}
