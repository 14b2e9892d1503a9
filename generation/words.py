"""Words of the two languages as the checks see them: folded, stemmed, with function words apart.

Light on purpose: enough to compare a short text with a brief, not to analyse a language.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from pigeonry.domain import Language

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?", re.UNICODE)

_ENGLISH = """
a an the and or but nor so yet if then than as at by for from in into of off on onto out over
to up with within without about after all also am any are be been before being both can could
did do does each even ever every few had has have he her here hers him his how i is it its just
let me more most much my no not now of once only other our ours own same she should some such
that their theirs them there these they this those through too under until very was we were
what when where which while who whom why will would you your yours s t re ve ll d m us get got
gets make makes made see read take takes one
"""
_ROMANIAN = """
a ai al ale alt alta am ar are as asa asta ati au avea avem aveti ca cam care ce cea cei cel
cele celor cand cat cate catre chiar cine ci cu cum da daca dar de deci decat deja despre din
dintr dintre doar dupa e ea ei el ele era este esti eu fara fi fie fiecare fiind foarte i ia iar
ii il imi in inca intr intre isi iti l la le li lor lui mai mea mei mele meu mi mult multe multi
n ne nici nimic niste noastre nostru noi nu nostri o ori orice pe pentru poate poti prin sa sai
sau se si sub sunt suntem spre t tau te ti tine toate tot toti tu ta tale un una unde unei unele
unor unui va vei vom vor vostru voi voastre v vreo
"""
FUNCTION = {
    Language.EN: frozenset(_ENGLISH.split()),
    Language.RO: frozenset(_ROMANIAN.split()),
}

# Longest first: the first ending that leaves three letters is taken off.
_ENDINGS = {
    Language.EN: ("ations", "ation", "ments", "ment", "ings", "ness", "ing", "ers", "ies", "ed",
                  "er", "es", "ly", "s", "e", "y"),
    Language.RO: ("urilor", "iilor", "atiei", "atiile", "atia", "atii", "ilor", "elor", "ului",
                  "irile", "arile", "area", "erea", "irea", "urile", "ului", "iile", "ele", "ile",
                  "uri", "ei", "ii", "ul", "le", "ea", "at", "it", "ez", "are", "ere", "ire",
                  "ate", "ite", "ati", "iti", "a", "e", "i", "u", "o"),
}  # fmt: skip


def fold(text: str) -> str:
    """Lower case without diacritics and with plain apostrophes: how "până" meets "pana"."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def words(text: str) -> list[str]:
    """Folded words in order; digits are left out."""
    return [match.group().split("'")[0] for match in WORD.finditer(fold(text))]


@lru_cache(maxsize=20_000)
def stem(word: str, language: Language) -> str:
    """A folded word without its usual ending, at most seven letters of it (Romanian: six): what
    comes after tells forms apart ("consultație", "consultația"), seldom words."""
    for ending in _ENDINGS[language]:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:7] if language is Language.EN else word[:6]


def content(text: str, language: Language) -> list[str]:
    """Folded words that carry meaning, in order."""
    return [word for word in words(text) if word not in FUNCTION[language] and len(word) > 1]


def stems(text: str, language: Language) -> set[str]:
    """Stems of the words that carry meaning."""
    return {stem(word, language) for word in content(text, language)}


def sentences(text: str) -> list[str]:
    """Split at final stops that are followed by space; abbreviations are not looked at."""
    return [part for part in re.split(r"(?<=[.!?…])[\"”»]?\s+", text.strip()) if part]
