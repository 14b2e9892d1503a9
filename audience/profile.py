"""A lead's profile: the words that say what somebody is and wants, and nothing that says who it is.

Pure. Names, addresses, phones and companies never enter; neither do numbers, identifiers, nor columns
that record how a sale went (they change with every touch and belong to scoring).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

from audience.folding import fold
from audience.values import missing, one_line, yes
from pigeonry.domain.lead import Lead
from pigeonry.domain.segment import Profile

TERM = ": "  # a term is "column: value"
_LONGEST_VALUE = 120
_LONGEST_TEXT = 700  # characters; about 160 tokens
_VERSION = "1"  # part of the content hash: a new way to write profiles embeds everybody anew

# Word stems of column names, folded.
_WHO = re.compile(
    r"occupation|ocupati|job|title|functi|profesi|rol\b|role|industr|domeni|speciali|educati|studi"
    r"|degree|profil|segment|sector|seniority|department|departament|persona|employ|angaj"
)
_WANTS = re.compile(
    r"interes|topic|course|\bcurs|product|produs|matter|looking|goal|scop|nevoi|need|preferin"
    r"|preference|categor|plan|wish|dorint|hobby|content"
)
_FROM = re.compile(
    r"source|sursa|origin|hear|aflat|channel|canal|campaign|campanie|medium|lead type"
)
_PERSONAL = re.compile(
    r"\bnames?\b|nume|prenume|mail|phone|telefon|mobil|fax|address|adres|street|strad|zip|postal|cod\b"
    r"|birth|nastere|\bage\b|varst|gender|\bsex\b|compan|firm|website|url|linkedin|facebook|twitter|iban"
    r"|card|cnp|cui\b|contact person|persoana|owner|salut|nota\b|notes?\b|comment|observati|comentari|mesaj|message"
)
_OF_THE_SALE = re.compile(
    r"last |latest|ultim|activit|status|stare|stage|stadi|etap|score|scor|index|quality|calitate|\btags?\b"
    r"|convert|\blost\b|closed|won\b|notable|modif|updated|created|data\b|date\b|\bdate|time|number"
    r"|\bid\b|\bnr\b|count|visits|consent|consimt|subscri|abona|optin|opt in|opt out|do not|gdpr|legal"
)
_REST = frozenset({"other", "others", "altele", "altul", "alta", "alt", "diverse", "other leads"})
_NUMBER = re.compile(r"[\s\d.,:/%+()€$£-]*\Z")
_IDENTIFIER = re.compile(
    r"(?=.*\d)[0-9a-f]{8}-?[0-9a-f-]{9,}\Z|(?=\S*\d)(?=\S*[A-Za-z])\S{12,}\Z", re.I
)
_REACHES = re.compile(r"\S+@\S+|https?://|www\.|\+?\d[\d\s().-]{7,}\d")
_PARTS = re.compile(r"\s*[;,|]\s*")


def profile(lead: Lead) -> Profile:
    """What is embedded of a lead, in the lead's own words. An unknown lead has the empty text."""
    private = _own_words(lead)
    parts: list[tuple[int, str, str]] = []
    for column, value in lead.attributes.items():
        rank = _rank(column)
        if rank is None:
            continue
        text, words = _said(str(value)[: _LONGEST_VALUE + 1])
        if text and private.isdisjoint(words):
            parts.append((rank, column.strip(), text))
    if lead.city and not missing(lead.city) and not _NUMBER.match(lead.city):
        parts.append((_LIVES, "city", one_line(lead.city)))
    parts.sort(key=lambda part: (part[0], _folded(part[1])))
    # How somebody came says little of who it is: it stands in only where nothing else is known.
    told = [part for part in parts if part[0] != _CAME] or parts
    # Values only: headers are in the language of the file, not of the lead, and half of the tokens.
    text = "; ".join(column if value is _YES else value for _, column, value in told)
    text = text[:_LONGEST_TEXT]
    terms = tuple(dict.fromkeys(term for _, c, v in parts for term in _terms(c, v)))
    digest = hashlib.sha256(f"{_VERSION}\n{text}".encode("utf-8", "replace")).hexdigest()
    return Profile(lead.id, text, digest, terms)


_folded = lru_cache(65536)(fold)
_YES = "yes"
_IS, _WISHES, _LIVES, _ELSE, _CAME = range(5)  # the order in the text
_TELLING = {_IS: 1.0, _WISHES: 0.9, _LIVES: 0.6, _ELSE: 0.5, _CAME: 0.3, None: 0.3}


def telling(column: str) -> float:
    """How much a column says of who somebody is, between 0 and 1: what a name is made of first."""
    return _TELLING[_rank(column)]


@lru_cache(4096)
def _rank(column: str) -> int | None:
    """Which of the five kinds a column is; None for one that is left out."""
    name = fold(column)
    if name == "city":
        return _LIVES
    if not name or _PERSONAL.search(name):
        return None
    if _OF_THE_SALE.search(name):
        return None
    if _FROM.search(name):
        return _CAME
    if _WHO.search(name):
        return _IS
    return _WISHES if _WANTS.search(name) else _ELSE


@lru_cache(65536)
def _said(value: str) -> tuple[str, frozenset[str]]:
    """The value if it says something about a kind of person, else "", with its words folded.
    Remembered: an audience says the same few thousand things."""
    value = one_line(value)
    nothing: tuple[str, frozenset[str]] = ("", frozenset())
    if not value or missing(value) or _NUMBER.match(value) or len(value) > _LONGEST_VALUE:
        return nothing
    if _IDENTIFIER.match(value) or _REACHES.search(value):
        return nothing
    if _folded(value) in _REST:
        return nothing
    answer = yes(value)
    if answer is not None:
        return (_YES, frozenset()) if answer else nothing
    return value, frozenset(_folded(value).split())


@lru_cache(65536)
def _split(value: str) -> tuple[str, ...]:
    return tuple(part for part in _PARTS.split(value) if part and not _NUMBER.match(part))


def _terms(column: str, value: str) -> Iterator[str]:
    if value is _YES:
        yield column
        return
    for part in _split(value):
        yield f"{column}{TERM}{part}"


def _own_words(lead: Lead) -> frozenset[str]:
    """The lead's own names, so that "Studio Ana Pop" in a free column is not taken for an interest."""
    words = (*_folded(lead.first_name).split(), *_folded(lead.last_name).split())
    return frozenset(word for word in words if len(word) > 2)
