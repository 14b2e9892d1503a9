"""What a row says about mail: whether its person agreed, on which basis, or must not be written to.

Several columns may speak; the most restrictive one counts, and what is doubtful counts as no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from audience import evidence, values
from audience.folding import fold
from pigeonry.domain import ConsentBasis, ConsentClaim

# Words for the two bases that count here (HubSpot's texts among them), after `fold`.
_BASES = {
    "express": ConsentBasis.EXPRESS,
    "explicit": ConsentBasis.EXPRESS,
    "expres": ConsentBasis.EXPRESS,
    "explicita": ConsentBasis.EXPRESS,
    "express consent": ConsentBasis.EXPRESS,
    "consimtamant expres": ConsentBasis.EXPRESS,
    "acord expres": ConsentBasis.EXPRESS,
    "double opt in": ConsentBasis.EXPRESS,
    "confirmed opt in": ConsentBasis.EXPRESS,
    "freely given consent from contact": ConsentBasis.EXPRESS,
    "existing customer": ConsentBasis.EXISTING_CUSTOMER,
    "client existent": ConsentBasis.EXISTING_CUSTOMER,
    "legitimate interest existing customer": ConsentBasis.EXISTING_CUSTOMER,
}
# Bases that other laws know, and cold lists of firms: no basis for marketing mail to people here.
_NO_BASES = frozenset(
    {
        "legitimate interest", "legitimate interests", "interes legitim", "legitimate interest prospect lead",
        "legitimate interest prospect", "legitimate interest other", "performance of a contract",
        "b2b", "public", "public data", "date publice", "soft opt in", "implied", "implied consent",
        "implicit", "acord implicit", "presumed", "prezumat",
    }
)  # fmt: skip
NO_BASIS = (
    "no basis for marketing mail in Romania, to people at firms neither: Law 506/2004 art. 12 wants prior "
    "express consent, or an existing customer with evidence"
)
_WITHDRAWN = frozenset(
    {
        "withdrawn", "retras", "retrasa", "refuz", "refuzat", "refused", "declined", "denied", "rejected",
        "revoked", "opted out", "opt out", "optout", "unsubscribed", "dezabonat", "dezabonata",
        "unsubscribe", "not subscribed", "non subscribed", "neabonat", "nu sunt de acord", "no consent",
    }
)  # fmt: skip
_OUT = frozenset(
    {
        "unsubscribed", "dezabonat", "dezabonata", "cleaned", "bounced", "hard bounced", "complained",
        "complaint", "spam", "blocked", "blacklisted", "blocklisted", "archived", "suppressed",
        "opted out", "do not contact", "inactive", "inactiv", "unreachable", "invalid", "deleted",
        "sters", "retras", "withdrawn",
    }
)  # fmt: skip
_IN = frozenset({"subscribed", "abonat", "abonata", "active", "activ", "confirmed", "confirmat"})


@dataclass(frozen=True, slots=True)
class Word:
    """What one cell says. `granted` needs a basis from somewhere; `doubt` is a reason to show."""

    granted: bool = False
    basis: ConsentBasis | None = None
    source: str = ""
    withdrawn: bool = False
    doubt: str = ""


SILENT = Word()


@lru_cache(4096)
def opted_out(text: str) -> bool:
    """A do-not-mail cell: empty, missing or no says nothing; everything else means it."""
    return bool(text) and not values.missing(text) and values.yes(text) is not False


def member_status(text: str) -> tuple[bool, Word]:
    """(must not be mailed, consent) of a subscription status, Mailchimp's words among them."""
    word = fold(text)
    if word in _OUT:
        return True, Word(withdrawn=True)
    if word in _IN:
        return False, Word(granted=True)
    if values.missing(text):
        return False, SILENT
    return False, Word(doubt=f"status {text[:40]!r} is no subscription")


def consent_word(text: str, now: datetime) -> Word:
    """A consent cell: a basis (`express`, `existing-customer:order 17`), yes or no, or the date of it."""
    if not text or values.missing(text):
        return SILENT
    past = values.past(text, now)
    if past is not None:
        return (
            Word(granted=True)
            if past
            else Word(doubt="the date does not exist or is in the future")
        )
    before, colon, source = text.partition(":")
    basis = _BASES.get(fold(before)) or _BASES.get(fold(text))
    if basis is not None:
        return Word(granted=True, basis=basis, source=source.strip() if colon else "")
    if fold(text) in _NO_BASES or fold(before) in _NO_BASES:
        return Word(doubt=f"{text[:40]!r} is {NO_BASIS}")
    said = values.yes(text)
    if said is True:
        return Word(granted=True)
    if said is False or fold(text) in _WITHDRAWN:
        return Word(withdrawn=True)
    return Word(doubt="neither a basis, nor yes or no, nor a date")


def named_basis(text: str) -> ConsentBasis | None:
    """The basis that a word names, in any of its spellings."""
    return _BASES.get(fold(text))


def no_basis(text: str) -> bool:
    """Whether a word names something that is a basis elsewhere and none here."""
    return fold(text) in _NO_BASES


def decide(
    words: Sequence[Word],
    claim: ConsentClaim | None,
    *,
    source: str,
    proof: str,
    now: datetime,
) -> tuple[ConsentClaim | None, bool, str]:
    """(consent, withdrawn, doubt) of a row.

    `words` are its consent columns; without any, the `claim` made for the whole file counts. `source`
    and `proof` come from the row's own columns for them and may be "".
    """
    if not words:
        return evidenced(claim, "", "", now) if claim else (None, False, "")
    if any(word.withdrawn for word in words):
        return None, True, ""
    if doubt := next((word.doubt for word in words if word.doubt), ""):
        return None, False, f"{doubt}: stored without consent"
    if not all(word.granted for word in words):
        return None, False, ""
    basis = next((word.basis for word in words if word.basis), None)
    if basis is None and claim is None:
        return None, False, "agreed, but on no stated basis: stored without consent"
    own = source or next((word.source for word in words if word.source), "")
    if basis is None:
        assert claim is not None
        found = replace(claim, source=own or claim.source, proof=proof or claim.proof)
    else:
        version = claim.text_version if claim and claim.basis is basis else ""
        known = own or (claim.source if claim else "import")
        found = ConsentClaim(basis, known, proof, version)
    return evidenced(found, claim.proof if claim else "", proof, now)


def evidenced(
    claim: ConsentClaim, general: str, day: str, now: datetime
) -> tuple[ConsentClaim | None, bool, str]:
    """The claim with its evidence; an existing customer without one gave no basis.

    `general` is the evidence that was stated for the whole file, `day` a day that the row states. The
    row's own parts stand in its source or proof and count before both.
    """
    if claim.basis is not ConsentBasis.EXISTING_CUSTOMER:
        return claim, False, ""
    own = {**evidence.parts(claim.proof), **evidence.parts(claim.source)}
    dated = {"on": day} if day and values.past(day, now) else {}
    shown, missing = evidence.proof({**evidence.parts(general), **dated, **own}, now)
    if missing:
        why = f"an existing customer needs evidence: {missing}"
        return None, False, f"{why}: stored without consent"
    source = claim.source.partition(";")[0] if "=" in claim.source else claim.source
    return replace(claim, source=source, proof=shown), False, ""
