"""Whom an event speaks of: a message of ours, else a lead, else an address that is kept as a keyed hash."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from feedback.events import INBOUND, Received, suppression
from pigeonry.config import Home
from pigeonry.delivery.links import load_links
from pigeonry.domain import EventKind
from pigeonry.domain.address import address_hash, canonical_email
from pigeonry.store import recipients
from pigeonry.store.recipients import LeadOf, MessageOf
from pigeonry.store.session import Session


class Match(NamedTuple):
    """`named` is the keyed hash of the address that the event gave, "" when it gave none or nobody needs
    it: events of a known message are about that message's lead."""

    message: MessageOf | None
    lead: LeadOf | None
    named: str

    @property
    def lead_id(self) -> int | None:
        if self.message:
            return self.message.lead_id
        return self.lead.lead_id if self.lead else None

    @property
    def hashes(self) -> set[str]:
        """Every address that this event is about."""
        found = {self.named}
        for known in (self.message, self.lead):
            if known:
                found.add(known.address_hash)
        return found - {""}

    @property
    def kept_hash(self) -> str:
        """What is stored with the event, so that erasure finds the body that it came in."""
        if self.message:
            return self.named if self.named != self.message.address_hash else ""
        return self.lead.address_hash if self.lead else self.named


def match(session: Session, home: Home, items: Sequence[Received]) -> list[Match]:
    """One match for each item: by our send key, the provider's id, an unsubscribe token that we signed,
    else by address or the id that another system gave the lead.

    A conversion belongs to the last mail that the lead got before it, within
    `learning.conversion_days`.
    """
    by_key = recipients.by_send_key(session, (item.event.send_key for item in items))
    by_provider = recipients.by_provider_id(
        session, (item.event.provider_message_id for item in items)
    )
    by_token = _by_token(session, home, items)
    key = home.secret("suppression.key")
    first: list[Match] = []
    for item in items:
        event = item.event
        message = by_key.get(event.send_key) or by_provider.get(event.provider_message_id)
        lead = None
        if message is None and item.token:
            message, lead = by_token.get(item.token, (None, None))
        needed = message is None or event.source == INBOUND or suppression(event) is not None
        first.append(Match(message, lead, _hashed(item.address, key) if needed else ""))
    return _by_conversion(session, home, items, _by_lead(session, items, first))


def _by_token(
    session: Session, home: Home, items: Sequence[Received]
) -> dict[str, tuple[MessageOf | None, LeadOf | None]]:
    tokens = {item.token for item in items if item.token}
    if not tokens:
        return {}
    links = load_links(home)
    read = {token: found for token in tokens if (found := links.verify(token))}
    messages = recipients.by_campaign(
        session, ((found.lead_id, found.campaign_id) for found in read.values())
    )
    leads = recipients.leads_by_id(session, (found.lead_id for found in read.values()))
    return {
        token: (messages.get((found.lead_id, found.campaign_id)), leads.get(found.lead_id))
        for token, found in read.items()
    }


def _by_lead(session: Session, items: Sequence[Received], matches: Sequence[Match]) -> list[Match]:
    """Leads known by address or by another system's id, for events where the lead matters."""
    wanted = [
        match.message is None
        and match.lead is None
        and (
            item.event.kind is EventKind.CONVERSION
            or item.event.source == INBOUND
            or suppression(item.event) is not None
        )
        for item, match in zip(items, matches, strict=True)
    ]
    if not any(wanted):
        return list(matches)
    by_hash = recipients.leads_by_hash(
        session, (match.named for match, want in zip(matches, wanted, strict=True) if want)
    )
    by_id = recipients.leads_by_external_id(
        session, (item.external_id for item, want in zip(items, wanted, strict=True) if want)
    )
    return [
        match._replace(lead=by_hash.get(match.named) or by_id.get(item.external_id))
        if want
        else match
        for item, match, want in zip(items, matches, wanted, strict=True)
    ]


def _by_conversion(
    session: Session, home: Home, items: Sequence[Received], matches: list[Match]
) -> list[Match]:
    places = [
        place
        for place, (item, match) in enumerate(zip(items, matches, strict=True))
        if item.event.kind is EventKind.CONVERSION and match.message is None and match.lead
    ]
    if not places:
        return matches
    window = timedelta(days=home.settings.learning.conversion_days)
    times = [items[place].event.at for place in places]
    leads = [lead.lead_id for place in places if (lead := matches[place].lead)]
    accepted = recipients.accepted_messages(
        session, leads, since=min(times) - window, until=max(times)
    )
    for place, lead_id, at in zip(places, leads, times, strict=True):
        last = _last(accepted.get(lead_id, []), at)
        if last is not None and at - last[0] <= window:
            matches[place] = matches[place]._replace(message=last[1])
    return matches


def _last(
    messages: Sequence[tuple[datetime, MessageOf]], at: datetime
) -> tuple[datetime, MessageOf] | None:
    place = bisect_right(messages, at, key=lambda pair: pair[0])
    return messages[place - 1] if place else None


def _hashed(address: str, key: bytes) -> str:
    """The keyed hash of an address, or "" when it is no address."""
    try:
        return address_hash(canonical_email(address), key)
    except ValueError:
        return ""
