"""Which encoding a file of text is in, and how sure that is. Reads bytes once, decodes nothing for keeps.

UTF-8 proves itself. Between the 8-bit code pages the letters decide: each word with a letter beyond
ASCII is held against the alphabets that the code page was made for, Romanian first.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass
from typing import BinaryIO

from pigeonry.errors import BadInput

_CHUNK = 1 << 20
_SAMPLE = 1 << 17  # bytes around non-ASCII letters that are looked at
_NON_ASCII = re.compile(rb"[^\r\n]{0,120}[\x80-\xff][^\r\n]{0,120}")
_BAD = re.compile("[\udc80-\udcff]")
_WORD = re.compile(r"[^\W\d_]*[^\W\d_\x00-\x7f][^\W\d_]*|[^\w\s\x00-\x7f]|[\x80-\x9f\udc80-\udcff]")
_TYPOGRAPHY = frozenset("“”„‟’‘‚–—…€«»•°©®™§±½¼¾·×£²³")
# Comma below is what Romanian means by these letters; the Windows code page only has the cedilla.
_COMMA = str.maketrans("şţŞŢ", "șțȘȚ")

_ALPHABETS = {
    "ro": "ăâîșț",
    "hu": "áéíóöőúüű",
    "pl": "ąćęłńóśźż",
    "cs": "áčďéěíňóřšťúůýž",
    "sk": "áäčďéíĺľňóôŕšťúýž",
    "hr": "čćđšž",
    "de": "äöüß",
    "fr": "àâæçéèêëîïôœùûü",
    "es": "áéíñóúü",
    "pt": "ãáàâçéêíõóôú",
    "it": "àèéìòù",
    "nordic": "åäöæø",
}
_CENTRAL = {"ro": 1.0, "hu": 0.9, "pl": 0.9, "hr": 0.88, "cs": 0.88, "sk": 0.82, "de": 0.85}
_WESTERN = {"fr": 0.95, "de": 0.95, "es": 0.95, "it": 0.9, "pt": 0.9, "nordic": 0.9}
# In this order where two read the same text: what Windows programs in Romania write comes first.
_PAGES: tuple[tuple[str, dict[str, float]], ...] = (
    ("windows-1250", _CENTRAL),
    ("windows-1252", _WESTERN),
    ("iso-8859-2", _CENTRAL),
    ("iso-8859-16", {"ro": 1.0, "hu": 0.88, "pl": 0.88, "hr": 0.86, "fr": 0.8, "de": 0.8}),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """`name` is a Python codec; `confidence` a fraction; `note` says what a user should look at."""

    name: str
    confidence: float
    note: str = ""

    @property
    def comma_below(self) -> bool:
        """Whether ş and ţ stand for ș and ț, because the code page has nothing else."""
        return self.name in ("windows-1250", "iso-8859-2", "cp1250", "iso8859-2")


@dataclass(frozen=True, slots=True)
class Look:
    """What one reading of all bytes showed."""

    encoding: Encoding
    size: int
    digest: str  # sha256 of the (unpacked) bytes, hex


def look(stream: BinaryIO, *, override: str | None, where: str) -> Look:
    """Read everything once. Raises BadInput for an empty file, binary data, or an unknown `override`."""
    digest = hashlib.sha256()
    size = nuls = good = bad = 0
    head = b""
    sample: list[bytes] = []
    sampled = 0
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while chunk := stream.read(_CHUNK):
        if not head:
            head = chunk[:4096]
        digest.update(chunk)
        size += len(chunk)
        nuls += chunk.count(0)
        text = decoder.decode(chunk)
        if chunk.isascii():
            continue
        broken = len(_BAD.findall(text))
        bad += broken
        good += sum(1 for letter in text if letter > "\x7f") - broken if sampled < _SAMPLE else 0
        if sampled < _SAMPLE:
            found = _NON_ASCII.findall(chunk)[:2000]
            sample += found
            sampled += sum(map(len, found))
    if not head.strip(b"\xef\xbb\xbf\xfe\xff \t\r\n\x00"):
        raise BadInput("the file is empty", where=where, fix="export the list again")
    if override:
        return Look(_overridden(override, where), size, digest.hexdigest())
    found_encoding = _marked(head)
    if found_encoding is None:
        _refuse_binary(head, nuls, size, where)
        found_encoding = _decide(good, bad, b"\n".join(sample)[: 2 * _SAMPLE])
    return Look(found_encoding, size, digest.hexdigest())


def _marked(head: bytes) -> Encoding | None:
    """By a byte order mark, or by the zeros that UTF-16 leaves between ASCII letters."""
    if head.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8-sig", 1.0)
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return Encoding("utf-32", 1.0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16", 1.0)
    even, odd = head[0::2], head[1::2]
    if len(head) >= 8:
        if odd.count(0) > 0.6 * len(odd) and even.count(0) < 0.05 * len(even):
            return Encoding("utf-16-le", 0.9, "UTF-16 without a byte order mark")
        if even.count(0) > 0.6 * len(even) and odd.count(0) < 0.05 * len(odd):
            return Encoding("utf-16-be", 0.9, "UTF-16 without a byte order mark")
    return None


def _refuse_binary(head: bytes, nuls: int, size: int, where: str) -> None:
    first_line = head.splitlines()[0] if head else b""
    if b"\x00" in first_line or nuls > 0.01 * size:
        raise BadInput(
            "this is binary data (it has NUL bytes), not a CSV file",
            where=where,
            fix="save it as CSV (UTF-8) from the program that it belongs to",
        )


def _overridden(name: str, where: str) -> Encoding:
    try:
        found = codecs.lookup(name)
        "a".encode(found.name).decode(found.name)
    except (LookupError, ValueError) as error:
        raise BadInput(
            f"unknown encoding {name!r}",
            where=where,
            fix="write for example utf-8, utf-16, windows-1250, iso-8859-2",
        ) from error
    # A byte order mark would become part of the first column's name.
    return Encoding("utf-8-sig" if found.name == "utf-8" else found.name, 1.0)


def _decide(good: int, bad: int, sample: bytes) -> Encoding:
    """UTF-8 unless its rules are broken more often than kept and a code page reads well."""
    if bad == 0:
        return Encoding("utf-8", 1.0 if good == 0 else 0.99)
    if good >= bad:
        return Encoding(
            "utf-8",
            good / (good + bad),
            _broken(bad),
        )
    scores: list[tuple[float, str, str]] = []
    hint = _hint(sample)
    words = 1
    for name, languages in _PAGES:
        text = sample.decode(name, "surrogateescape").translate(_COMMA)
        found = _WORD.findall(text)
        words = max(1, len(found))
        score = sum(_plausible(word, languages) for word in found) / words
        scores.append((score + (0.02 if name == hint else 0.0), name, text))
    best, _, text = max(scores, key=lambda item: item[0])
    name = next(name for _, name, other in scores if other == text)
    if best < 0.5:
        return Encoding("utf-8", 0.5, _broken(bad))
    rival = max((score for score, _, other in scores if other != text), default=0.0)
    # One word proves little; a rival that reads as well halves the confidence.
    confidence = min(1.0, best) * (1 - (rival / best) ** 2 / 2) * words / (words + 0.5)
    note = "" if confidence >= 0.6 else "unsure: look at the letters, or give --encoding"
    return Encoding(name, round(confidence, 2), note)


def _broken(bad: int) -> str:
    return f"bytes that are not valid UTF-8: {bad}; their rows are rejected"


def _plausible(word: str, languages: dict[str, float]) -> float:
    """1 for a word that one of these languages could spell, 0 for one that none could."""
    if len(word) == 1 and not word.isalpha():
        return 0.9 if word in _TYPOGRAPHY or word == "\xa0" else 0.0
    letters = {letter for letter in word.lower() if letter > "\x7f"}
    if word != word.lower() and word != word.upper() and word[1:] != word[1:].lower():
        return 0.0  # a capital inside a word
    return max(
        (prior for name, prior in languages.items() if letters <= set(_ALPHABETS[name])),
        default=0.0,
    )


def _hint(sample: bytes) -> str:
    """What charset-normalizer thinks, in our names; it breaks ties only."""
    from charset_normalizer import from_bytes

    codes = [name.replace("windows-", "cp").replace("-", "_") for name, _ in _PAGES]
    found = from_bytes(
        sample[:20_000], cp_isolation=["cp1250", "cp1252", "iso8859_2", "iso8859_16"]
    )
    best = found.best()
    if best is None:
        return ""
    wanted = codecs.lookup(best.encoding).name
    return next(
        (
            name
            for (name, _), code in zip(_PAGES, codes, strict=True)
            if codecs.lookup(code).name == wanted
        ),
        "",
    )
