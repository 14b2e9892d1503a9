"""What comes in about somebody who was erased: it stops whom it should, and nothing of it is kept.

Erased people are known by keyed hashes alone: of their address (suppression), and of what named them to other
systems and in their mails (`marks`, kept with the note of the erasure).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from feedback.events import Received
from pigeonry.config import Home
from pigeonry.delivery.links import load_links
from pigeonry.domain import SuppressionReason
from pigeonry.domain.address import address_hash, canonical_email
from pigeonry.domain.traces import Traces
from pigeonry.service.matching import Match
from pigeonry.store import bodies, consents, erasing, raw_events
from pigeonry.store.erasing import Notes, Subject
from pigeonry.store.session import Database, Session

_MOST = 10_000  # addresses of one body that are looked at: a stranger may write us a mail that holds nothing else
_BEFORE = re.compile(r"[^\s@<>\"',;:()\[\]\\]{1,64}")
_AFTER = re.compile(r"[\w.-]{1,255}")
_JOINED = re.compile(r"[=&?/|{}]")


def marks(home: Home, person: Subject) -> list[str]:
    """Keyed hashes of what an event may name instead of the address."""
    key = home.secret("suppression.key")
    names = [*(send_key for _, send_key in person.mails), person.external_id]
    return sorted(_mark(name, key) for name in names if name)


def sift(
    session: Session, home: Home, items: Sequence[Received], matches: Sequence[Match]
) -> list[Match | None]:
    """Each match as it may be kept: None for an event that is about an erased person. Where an erased person
    spoke of somebody else's mail, that mail's event stays without the name."""
    erased = consents.erased(session, {digest for found in matches for digest in found.hashes})
    unknown = [
        item
        for item, found in zip(items, matches, strict=True)
        if found.lead_id is None and (item.event.send_key or item.external_id or item.token)
    ]
    notes = erasing.notes(session) if unknown else Notes(frozenset(), frozenset())
    return [
        _kept(home, notes, erased, item, found) for item, found in zip(items, matches, strict=True)
    ]


def _kept(
    home: Home, notes: Notes, erased: Collection[str], item: Received, found: Match
) -> Match | None:
    about = found.message or found.lead
    if about is not None:
        if about.address_hash in erased:  # the erasure is under way
            return None
        return found._replace(named="") if found.named in erased else found
    if found.named in erased:
        return None
    key = home.secret("suppression.key")
    if notes.marks and any(
        name and _mark(name, key) in notes.marks for name in (item.event.send_key, item.external_id)
    ):
        return None
    if notes.leads and item.token:
        signed = load_links(home).verify(item.token)
        if signed is not None and signed.lead_id in notes.leads:
            return None
    return found


def names(item: Received) -> set[str]:
    """By what an event's element is found again in its body."""
    event = item.event
    found = {event.send_key, event.provider_message_id, item.external_id, item.token, item.address}
    return found - {""}


def strike(
    session: Session, home: Home, known: Mapping[int, set[str]], look: Collection[int]
) -> set[int]:
    """Take what speaks of erased people out of stored bodies; returns which had something of them. `known` are
    bodies that do, with the names that are struck; `look` are bodies that may."""
    key, struck = home.secret("suppression.key"), set()
    for raw in raw_events.bodies(session, sorted({*known, *look})):
        hashes = _hashes(raw.body.decode("utf-8", "replace"), key)
        erased = consents.erased(session, set(hashes.values()))
        if raw.id not in known and not erased:
            continue
        shown = {address for address, digest in hashes.items() if digest in erased}
        traces = Traces(tuple(sorted(shown | known.get(raw.id, set()))))
        raw_events.replace(session, raw.id, bodies.without(raw.source, raw.body, traces.within))
        struck.add(raw.id)
    return struck


def speaks_of_erased(db: Database, key: bytes) -> Callable[[Iterable[str]], bool]:
    """Tells whether texts name anybody who was erased before now."""
    with db.read() as session:
        erased = consents.with_reason(session, SuppressionReason.ERASURE)

    def speaks(texts: Iterable[str]) -> bool:
        return bool(erased) and not erased.isdisjoint(_hashes("\n".join(texts), key).values())

    return speaks


def addresses_in(text: str) -> Iterator[str]:
    """What may be an address, in the order of the text; some come twice, in two readings."""
    place = -1
    while (place := text.find("@", place + 1)) >= 0:
        after = _AFTER.match(text, place + 1)
        before = _BEFORE.match(text[max(0, place - 64) : place][::-1])
        if before and after and "." in after[0]:
            local, domain = before[0][::-1], after[0].rstrip(".-_")
            yield f"{local}@{domain}"
            last = _JOINED.split(local)[-1]
            if last and last != local:
                yield f"{last}@{domain}"


def _hashes(text: str, key: bytes) -> dict[str, str]:
    found = {}
    for address in islice(dict.fromkeys(addresses_in(text)), _MOST):
        try:
            found[address] = address_hash(canonical_email(address), key)
        except ValueError:
            continue
    return found


def _mark(name: str, key: bytes) -> str:
    return hmac.digest(key, b"mark:" + name.encode(), "sha256").hex()[:32]
