"""What counts as an e-mail address, its one canonical spelling, and its keyed hash.

Knows nothing of mailboxes: whether an address exists is for the mail to find out.
"""

from __future__ import annotations

import hmac
import re
import unicodedata

# Plain ASCII addresses, checked by one expression instead of email-validator (twenty times slower).
# Anything it does not match takes the slow way, so it may be narrower than the rules, never wider:
# lower case, no label with "--" (A-labels), a domain of at most 63 characters, whose last label is
# letters only and no special-use name.
_PLAIN = re.compile(
    r"(?=[^@]{1,64}@[^@]{3,63}\Z)"
    r"[a-z0-9_!#$%&'*+\-/=?^`{|}~]+(?:\.[a-z0-9_!#$%&'*+\-/=?^`{|}~]+)*"
    r"@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion|test)\Z)[a-z]{2,63}\Z"
)
_SEVERAL = re.compile(r"@[^@\s,;|]+[\s,;|/]+\S+@", re.DOTALL)
_IP_DOMAIN = re.compile(r"\d+(?:\.\d+){3}\Z")
# Latin letters that have no decomposition and still belong to living alphabets. Others of that kind
# (dotless i, long s, small capitals) are drawn like ASCII letters and are refused.
_LATIN = frozenset("ßæøđłœðþħŋəɛɔßÆØĐŁŒÐÞĦŊƏƐƆ")
# Cyrillic and Greek letters that look like Latin ones in most typefaces.
_LOOKALIKE = frozenset("авекмнорстухіїјѕԁԛԝһӏανορτυκικχγωη")
_TOGETHER = ({"CJK", "HIRAGANA", "KATAKANA"}, {"CJK", "HANGUL"}, {"CJK", "BOPOMOFO"})


def canonical_email(text: str) -> str:
    """The canonical spelling: no surrounding space, NFC, domain as lower-case A-label, local part
    lower-cased when it is ASCII. Plus-tags and dots are kept: they may be different people.

    Raises ValueError whose message is a plain reason that can be shown to a marketer.
    """
    text = text.strip()
    # Only ASCII is lowered here: the Kelvin sign would turn into an honest k.
    if text.isascii() and _PLAIN.match(plain := text.lower()):
        return plain
    return _checked(text)


def address_hash(email: str, key: bytes) -> str:
    """HMAC-SHA256 (hex, 64 digits) of a canonical address; `key` is the home's suppression key."""
    return hmac.digest(key, email.encode(), "sha256").hex()


def masked(email: str) -> str:
    """An address that its owner recognises and a stranger cannot use: i***@e***.ro."""
    local, _, domain = email.rpartition("@")
    name, _, ending = domain.rpartition(".")
    return f"{local[:1]}***@{name[:1]}***.{ending}"


def _checked(text: str) -> str:
    """The slow way: every rule, by email-validator and by what it lets through."""
    from email_validator import EmailNotValidError, validate_email

    if not text:
        raise ValueError("there is no address")
    _refuse_disguised(text)
    if _SEVERAL.search(text):
        raise ValueError("more than one address in the cell")
    if "@" not in text:
        raise ValueError("there is no @ in it")
    if _IP_DOMAIN.search(text.rpartition("@")[2]):
        raise ValueError("the part after the @ is an IP address, not a domain")
    try:
        found = validate_email(text, strict=True, check_deliverability=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)[:300].rstrip(".")) from error
    local, domain = found.local_part, found.ascii_domain
    if not text.isascii():
        _refuse_confusable(local, "the part before the @")
        typed = unicodedata.normalize("NFC", text.rpartition("@")[2])
        for label in typed.split("."):
            _refuse_confusable(label, "the domain")
    if "xn--" in domain:
        for label in found.domain.split("."):
            _refuse_confusable(label, "the domain")
    domain = domain.lower()
    return f"{local.lower() if local.isascii() else local}@{domain}"


def _refuse_disguised(text: str) -> None:
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"):
            name = unicodedata.name(letter, "control character").lower()
            raise ValueError(f"an invisible character in it (U+{ord(letter):04X}, {name})")
        # The Kelvin sign becomes K under NFC: it has to be seen before anything is normalised.
        if not letter.isascii() and unicodedata.normalize("NFKD", letter).isascii():
            name = unicodedata.name(letter, "?").lower()
            raise ValueError(f"a letter that imitates another in it (U+{ord(letter):04X}, {name})")


def _refuse_confusable(part: str, where: str) -> None:
    """Refuse letters that imitate others, and scripts mixed in one word (UTS 39, highly restrictive)."""
    if part.isascii():
        return
    if unicodedata.normalize("NFKC", part) != part:
        raise ValueError(f"{where} has a letter that imitates another ({_odd(part)})")
    scripts = set()
    for letter in part:
        if not letter.isalpha():
            continue
        script = unicodedata.name(letter, "UNKNOWN").split(" ")[0].partition("-")[0]
        scripts.add(script)
        if script == "LATIN" and not (
            letter.isascii()
            or letter in _LATIN
            or unicodedata.normalize("NFKD", letter)[0].isascii()
        ):
            raise ValueError(
                f"{where} has a letter that imitates another (U+{ord(letter):04X}, "
                f"{unicodedata.name(letter).lower()})"
            )
    if len(scripts) > 1 and not any(scripts <= allowed for allowed in _TOGETHER):
        raise ValueError(f"{where} mixes scripts ({', '.join(sorted(scripts)).lower()})")
    letters = [letter for letter in part.lower() if letter.isalpha()]
    if scripts & {"CYRILLIC", "GREEK"} and all(letter in _LOOKALIKE for letter in letters):
        raise ValueError(f"{where} is written in letters that imitate Latin ones")


def _odd(part: str) -> str:
    for letter in part:
        if unicodedata.normalize("NFKC", letter) != letter:
            return f"U+{ord(letter):04X}, {unicodedata.name(letter, '?').lower()}"
    return "combining marks"
