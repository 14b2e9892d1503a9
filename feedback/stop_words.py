"""Whether somebody asks us, in Romanian or English, to stop writing to them.

Made for recall: a false stop costs a reader, a missed one breaks the law (ANSPDCP fined a shop in 2024 for
mailing on after "dezabonare" by e-mail). Looks at a person's own words only: see `feedback.quoting`.
"""

from __future__ import annotations

import re
import unicodedata

_ENDS = re.compile(r"[.!?;\n]+")
_NOT_WORDS = re.compile(r"[^\w]+")
_MAIL = (
    r"(?:e ?mail\w*|mail\w*|mesaj\w*|messag\w*|newsletter\w*|reclam\w*|publicit\w*|ads?|advert\w*"
    r"|spam\w*|oferte\w*|offers?|promo\w*|notific\w*|noutati\w*|comunicari\w*|communications?"
    r"|marketing|sms\w*|corespondent\w*)"
)
_ME = r"(?:imi|mi|ne|ma|ni|va rog)"

# Each over the folded words of one sentence: no diacritics, no punctuation, "don't" as "dont".
_ASKS = tuple(
    re.compile(pattern)
    for pattern in (
        # Romanian
        (
            rf"\bnu (?:mai )?(?:vreau|doresc|vrem|dorim|as (?:mai )?(?:vrea|dori)|imi doresc|accept)\b"
            rf"(?: \w+){{0,4}}? (?:primesc|primim|contactat\w*|abonat\w*|abonament\w*|trimit\w*|{_MAIL})\b"
        ),
        r"^(?:\w+ )?nu mai (?:vreau|doresc|vrem|dorim)(?: \w+){0,5}$",
        (
            rf"\bnu (?:{_ME} )*mai (?:{_ME} )*"
            r"(?:trimi\w+|scrie\w*|scrii|contact\w+|deranj\w+|spam\w+|mail\w+)"
        ),
        rf"\bsa nu (?:{_ME} )*(?:mai )?(?:{_ME} )*(?:trimi\w+|scri\w+|contact\w+|deranj\w+)",
        r"\bnu (?:imi|mi|ne|ma) (?:trimiteti|trimite|contacta\w*|scrie\w*|deranja\w*)\b",
        r"\b(?:ma|ne) (?:sco\w+|sterg\w*|elimin\w+|exclu\w+|radi\w+)\b",
        r"\b(?:fiu|fim) (?:sters|stearsa|stersi|scos|scoasa|scosi|elimin\w+|exclu\w+)\b",
        (
            r"\b(?:sco(?:ate|t)\w*|sterg\w*|elimin\w+|exclude\w*|radi\w+)(?: \w+){0,3}?"
            r" (?:ma|ne|adres\w+|datele|e ?mail\w*|mailul\w*|contul|numele|lista\w*|baza)\b"
        ),
        (
            rf"(?<!nu )(?<!nu va )\b(?:opriti|opreste|inceta\w*|inceteaza|termina\w*|sista\w*"
            rf"|gata cu|ajunge cu|destul cu|stop)(?: \w+){{0,3}}? (?:trimi\w+|scri\w+|contact\w+|{_MAIL})\b"
        ),
        r"\b(?:renunt\w*|anul\w+)(?: \w+){0,3}? (?:abon\w+|newsletter\w*|e ?mail\w*|mail\w*|mesaj\w*|lista)\b",
        r"\bretrag\w*(?: \w+){0,3}? (?:consimt\w+|acord\w*|abon\w+)",
        r"\bnu (?:v |va |ti |mi )?(?:am dat|exista|ai|aveti)(?: \w+){0,3}? (?:acord\w*|consimt\w+)",
        r"\bma opun\b|\banspdcp\b|\bfi uitat\w*\b",
        r"\blas[ai]\w* (?:ma|ne)\b",
        r"\bnu (?:mai )?(?:sunt|suntem|sint) interesa\w+|\bnu (?:ma|ne) (?:mai )?interes\w+",
        # English
        r"\bopt(?:ed|ing)? (?:me )?out\b",
        r"\b(?:remove|delete|erase|drop|exclude) (?:me|us)\b|\btake (?:me|us) (?:off|out|from)\b",
        (
            r"\b(?:remov\w+|delet\w+|eras\w+)\b(?: \w+){0,3}?"
            r" (?:my|our|this) (?:e ?mail|address|data|details|contact|information|name|account)\b"
        ),
        (
            r"\b(?:remov\w+|delet\w+|eras\w+|tak\w+|off)\b(?: \w+){0,4}?"
            r" (?:your|the|this|all|any|that)(?: \w+){0,2}? (?:lists?|database|newsletters?|mailings?)\b"
        ),
        (
            rf"(?<!not )(?<!dont )(?<!cant )(?<!cannot )(?<!never )(?<!wont )\b(?:stop|cease|quit)"
            rf"(?: \w+){{0,2}}? (?:send\w*|writing|contact\w+|bother\w+|harass\w+|mailing|{_MAIL})\b"
        ),
        (
            r"\b(?:do not|dont|never|no longer)(?: ever)?"
            r" (?:e ?mail|mail|contact|write|message|send|bother|spam)\b"
        ),
        (
            rf"\b(?:do not|dont|no longer|not|never) (?:want|wish|like|need|care)(?: \w+){{0,4}}?"
            rf" (?:receiv\w+|get|hear|contacted|{_MAIL})\b"
        ),
        rf"\b(?:no more|enough(?: of)?(?: (?:these|this|your))?) {_MAIL}\b",
        r"\bnot interested\b|\bno longer interested\b",
        r"\bleave (?:me|us) alone\b",
        (
            r"\b(?:cancel\w*|end|terminat\w+|discontinu\w+)(?: \w+){0,3}?"
            r" (?:subscription|newsletters?|mailings?|e ?mails?)\b"
        ),
        r"\b(?:withdraw|revok)\w*(?: \w+){0,3}? (?:consent|permission)\b",
        r"\bnever (?:signed up|subscribed|gave|consented|agreed|asked)\b",
        r"\bobject\w* to\b(?: \w+){0,4}? (?:marketing|processing)\b|\bbe forgotten\b",
        # In either: accused of spam, but not "it landed in spam".
        (
            r"(?<!in )(?<!la )(?<!to )(?<!my )(?<!the )(?<!din )(?<!your )(?<!non )"
            r"\bspam(?:m\w+|uri|ul)?\b(?! folder)"
        ),
    )
)
# Only a sentence that says nothing else.
_SHORT = re.compile(
    r"(?:(?:please|pls|va rog|te rog|gata|ok|just) )*stop"
    r"(?: (?:va rog|te rog|please|pls|now|acum|it|this|imediat|multumesc|thanks|thank you|all))*"
)
_STEMS = ("dezabon", "unsubscr")
_NEGATED = re.compile(
    r"\bnu (?:ma |ne )?(?:vreau sa |doresc sa )?(?:ma |ne )?dezabon|\b(?:not|dont|never) (?:want to )?unsub"
    r"|\b(?:din greseala|by mistake|by accident|accidentally)\b"
)


def asks_to_stop(text: str) -> bool:
    """Whether these words of a person ask for no more mail (or for their data to be deleted)."""
    for part in _ENDS.split(fold(text)):
        sentence = _NOT_WORDS.sub(" ", part).strip()
        if not sentence:
            continue
        if _SHORT.fullmatch(sentence) or any(ask.search(sentence) for ask in _ASKS):
            return True
        if any(map(_leaves, sentence.split())) and not _NEGATED.search(sentence):
            return True
    return False


def fold(text: str) -> str:
    """Lower case without diacritics: ș, ş and s are one letter; apostrophes go."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "").replace("'", "").lower())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _leaves(word: str) -> bool:
    """A form of "dezabonare" or "unsubscribe", also with one letter wrong, missing or too many."""
    if word.startswith("unsub") or word.startswith(_STEMS):
        return True
    return any(
        len(word) >= len(stem) and _within_one(word[:size], stem)
        for stem in _STEMS
        for size in (len(stem) - 1, len(stem), len(stem) + 1)
    )


def _within_one(word: str, other: str) -> bool:
    """At most one letter inserted, deleted or replaced, or two neighbours swapped."""
    if abs(len(word) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    left, right = word[start:], other[start:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[:2] == right[:2][::-1] and left[2:] == right[2:])
    )
