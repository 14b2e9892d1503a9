"""What people decide about their own mail: leave, pause, mail me less, and come in by confirming.

Whoever holds a link acts for its one lead. Nothing here tells whether an address is known.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from audience import merge
from pigeonry.config import Home
from pigeonry.delivery.links import UnsubscribeToken, load_links
from pigeonry.delivery.opt_in import load_opt_in_links
from pigeonry.domain import (
    ConsentBasis,
    ConsentState,
    Language,
    Lead,
    LeadRecord,
    SuppressionReason,
)
from pigeonry.domain.address import address_hash, canonical_email, masked
from pigeonry.errors import BadInput, WrongUse
from pigeonry.store import consent_texts, consents, leads, opt_ins
from pigeonry.store import preferences as store
from pigeonry.store.consent_texts import ConsentTextRow
from pigeonry.store.leads import LeadFields
from pigeonry.store.opt_ins import OptIn
from pigeonry.store.session import Database, Session

WAYS_OUT = ("one-click", "page", "mail", "operator")
OPT_IN_DAYS = 7  # a confirmation link is good for
_ASKED_MOST = ((timedelta(hours=1), 1), (timedelta(days=1), 5))  # confirmation mails to one address
_LONGEST_PAUSE = 3650
_MOST_A_WEEK = 100
_MOST_TOPICS = 50
_TOPIC_LENGTH = 80


@dataclass(frozen=True, slots=True)
class PreferenceView:
    """What a preference page shows. `address` is masked: i***@e***.ro. `language` None: not stated.
    `weekly_cap` 0: as the sender sees fit. `topics`: whether the lead wants mail about each that is offered."""

    address: str
    language: Language | None
    subscribed: bool
    paused_until: datetime | None
    weekly_cap: int
    topics: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class OptInView:
    """What a confirmation page shows: whose mail (masked), and the words that are agreed to."""

    address: str
    language: Language
    text: str
    text_version: str
    requested_at: datetime
    expires_at: datetime
    confirmed: bool


def unsubscribe(db: Database, home: Home, token: str, *, how: str, now: datetime) -> bool:
    """Never mail this lead again. True: valid, done now or before (also when the lead is erased).

    `how` is "one-click", "page", "mail" or "operator".
    """
    if how not in WAYS_OUT:
        raise WrongUse(f"{how!r} is no way to unsubscribe", fix=f"one of {', '.join(WAYS_OUT)}")
    read = load_links(home).verify(token)
    if read is None:
        return False
    with db.write() as session:
        lead = _lead(session, read.lead_id)
        if lead is not None:
            _leave(session, home, lead, read, how, now)
    return True


def preferences(db: Database, home: Home, token: str, *, now: datetime) -> PreferenceView | None:
    """None for a token that we did not sign, or whose lead is no longer stored."""
    read = load_links(home).verify(token)
    if read is None:
        return None
    with db.read() as session:
        lead = _lead(session, read.lead_id)
        return None if lead is None else _view(session, home, lead, now)


def set_preferences(
    db: Database,
    home: Home,
    token: str,
    *,
    paused_days: int | None,
    weekly_cap: int | None,
    topics: Mapping[str, bool] | None,
    language: str | None,
    now: datetime,
) -> PreferenceView | None:
    """Change what is not None; `paused_days` 0 ends a pause. Raises WrongUse for impossible values.

    None for a token that we did not sign, or whose lead is no longer stored.
    """
    _refuse_impossible(paused_days, weekly_cap, topics)
    spoken = None if language is None else _language(language)
    read = load_links(home).verify(token)
    if read is None:
        return None
    with db.write() as session:
        lead = _lead(session, read.lead_id)
        if lead is None:
            return None
        consents.lock_addresses(session, [_hash(home, lead.email)])
        chosen = store.get(session, lead.id)
        if paused_days is not None:
            until = now + timedelta(days=paused_days) if paused_days else None
            chosen = replace(chosen, paused_until=until)
        if weekly_cap is not None:
            chosen = replace(chosen, weekly_cap=weekly_cap)
        if topics is not None:
            # A page that was open for long may show a topic that is no longer offered.
            known = {*home.settings.privacy.topics, *chosen.declined}
            asked = {topic: wanted for topic, wanted in topics.items() if topic in known}
            declined = {
                topic for topic in known if not asked.get(topic, topic not in chosen.declined)
            }
            chosen = replace(chosen, declined=frozenset(declined))
        store.put(session, lead.id, chosen, at=now)
        if spoken is not None and spoken is not lead.language:
            store.set_language(session, lead.id, spoken.value, at=now)
            lead = replace(lead, language=spoken)
        return _view(session, home, lead, now)


def request_opt_in(
    db: Database,
    home: Home,
    *,
    email: str,
    language: str,
    text_version: str,
    source: str,
    ip: str,
    now: datetime,
) -> None:
    """Somebody typed an address into a form: queue one confirmation mail to it, at most one an hour and
    five a day. An empty `text_version` means the newest consent text of the language.

    Says the same for known, unknown and suppressed addresses. Raises BadInput for what is no address and
    WrongUse for an unknown language or text version.
    """
    try:
        address = canonical_email(email)
    except ValueError as error:
        raise BadInput(f"not an e-mail address: {error}", fix="write name@example.com") from error
    spoken = _language(language)
    digest = _hash(home, address)
    with db.write() as session:
        leads.lock_for_merge(session)
        text = consent_text(session, text_version, spoken)
        if not _may_come_back(session, digest):
            return  # nothing is stored and nothing is sent; only the person's own mailbox could tell
        found = leads.by_email(session, address)
        lead_id = found.id if found else _newcomer(session, home, address, digest, spoken, now)
        if any(
            opt_ins.asked(session, lead_id, since=now - window) >= most
            for window, most in _ASKED_MOST
        ):
            return
        opt_ins.add(
            session,
            lead_id=lead_id,
            send_key=secrets.token_hex(16),
            language=spoken.value,
            text_version=text.version,
            source=source[:200],
            network=network(ip),
            at=now,
        )


def opt_in_view(db: Database, home: Home, token: str, *, now: datetime) -> OptInView | None:
    """None for a token that is not ours, is too old, or whose lead is no longer stored."""
    with db.read() as session:
        found = _request(session, home, token, now)
        if found is None:
            return None
        request, lead = found
        text = consent_texts.get(session, request.text_version)
    return OptInView(
        address=masked(lead.email),
        language=Language(request.language),
        text=text.text if text else "",
        text_version=request.text_version,
        requested_at=request.created_at,
        expires_at=request.created_at + timedelta(days=OPT_IN_DAYS),
        confirmed=request.confirmed_at is not None,
    )


def confirm_opt_in(
    db: Database, home: Home, token: str, *, ip: str, user_agent: str, now: datetime
) -> bool:
    """The person confirms: consent is granted, with its proof. Call it for a POST only.

    A token works once: used again, it says whether the lead is still subscribed and changes nothing.
    False also for an address whose complaint, bounce, erasure or manual stop forbids mail for good.
    """
    with db.write() as session:
        found = _request(session, home, token, now)
        if found is None:
            return False
        request, lead = found
        digest = _hash(home, lead.email)
        consents.lock_addresses(session, [digest])
        fresh = opt_ins.get(session, request.id, lock=True)
        if fresh is None or fresh.confirmed_at is not None:
            return _subscribed(session, lead.id, digest, now)
        opt_ins.confirm(session, fresh, at=now)
        if not _may_come_back(session, digest) or not consents.lift_by_confirming(session, digest):
            return False
        _grant(session, home, lead, request, ip=ip, user_agent=user_agent, now=now)
    return True


def consent_text(session: Session, version: str, language: Language) -> ConsentTextRow:
    """The text of that version, or the language's newest. Raises WrongUse when there is none."""
    text = (
        consent_texts.get(session, version)
        if version
        else consent_texts.newest(session, language.value)
    )
    if text is None:
        raise WrongUse(
            f"there is no consent text {version or f'in {language.value}'!r}",
            where="text_version",
            fix="store what people agree to: pigeonry consent text add FILE --language ro",
        )
    return text


def network(ip: str) -> str:
    """The network that an address is in (/24, /48 for IPv6): enough as evidence, no single machine."""
    try:
        address = ipaddress.ip_address(ip.strip().split("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    size = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network(f"{address}/{size}", strict=False))


def _leave(
    session: Session, home: Home, lead: Lead, read: UnsubscribeToken, how: str, now: datetime
) -> None:
    digest = _hash(home, lead.email)
    consents.lock_addresses(session, [digest])
    proof = {"how": how, "campaign": read.campaign_id, "key": read.key_id}
    consents.withdraw(
        session, lead.id, source=f"unsubscribe: {how}", proof=json.dumps(proof), at=now
    )
    consents.suppress(
        session,
        digest,
        reason=SuppressionReason.UNSUBSCRIBE,
        source=f"unsubscribe: {how}",
        at=now,
    )


def _grant(
    session: Session,
    home: Home,
    lead: Lead,
    request: OptIn,
    *,
    ip: str,
    user_agent: str,
    now: datetime,
) -> None:
    days = home.settings.privacy.consent_days
    before = consents.newest(session, lead.id)
    proof = {
        "requested_at": request.created_at.isoformat(),
        "requested_from": request.network,
        "confirmed_at": now.isoformat(),
        "confirmed_from": network(ip),
        "user_agent": user_agent[:300],
        "request": request.id,
    }
    consents.record(
        session,
        lead.id,
        state=ConsentState.GRANTED,
        basis=ConsentBasis.EXPRESS,
        source=request.source or "double opt-in",
        proof=json.dumps(proof, ensure_ascii=False),
        # The newest row counts: this one comes after all others, whatever a clock said.
        at=max(now, before.at + timedelta(microseconds=1)) if before else now,
        text_version=request.text_version,
        expires_at=now + timedelta(days=days) if days else None,
    )


def _request(session: Session, home: Home, token: str, now: datetime) -> tuple[OptIn, Lead] | None:
    links = load_opt_in_links(home)
    request_id = links.request_id(token)
    request = None if request_id is None else opt_ins.get(session, request_id)
    if not links.proves(token, request.send_key if request else "") or request is None:
        return None
    if now - request.created_at > timedelta(days=OPT_IN_DAYS):
        return None
    lead = _lead(session, request.lead_id)
    return None if lead is None else (request, lead)


def _newcomer(
    session: Session, home: Home, address: str, digest: str, language: Language, now: datetime
) -> int:
    """A lead without consent: it exists so that the mail has somebody to go to."""
    record = LeadRecord(email=address, row=0, line=0, language=language)
    spoken, country, zone = merge.filled(
        record, default_country=home.settings.audience.default_country
    )
    fields = LeadFields(address, digest, "", "", "", "", spoken, country, "", zone, "", {})
    return leads.add(session, [fields], now)[0]


def _may_come_back(session: Session, digest: str) -> bool:
    stopped = consents.suppression(session, digest)
    return stopped is None or stopped.reason in consents.LIFTED_BY_CONFIRMING


def _subscribed(session: Session, lead_id: int, digest: str, now: datetime) -> bool:
    consent = consents.newest(session, lead_id)
    return (
        consent is not None
        and consent.state is ConsentState.GRANTED
        and (consent.expires_at is None or consent.expires_at > now)
        and not consents.suppressed(session, [digest])
    )


def _view(session: Session, home: Home, lead: Lead, now: datetime) -> PreferenceView:
    chosen = store.get(session, lead.id)
    paused = chosen.paused_until
    return PreferenceView(
        address=masked(lead.email),
        language=lead.language,
        subscribed=_subscribed(session, lead.id, _hash(home, lead.email), now),
        paused_until=paused if paused and paused > now else None,
        weekly_cap=chosen.weekly_cap,
        topics={
            topic: topic not in chosen.declined
            for topic in (
                *home.settings.privacy.topics,
                *sorted(chosen.declined - set(home.settings.privacy.topics)),
            )
        },
    )


def _lead(session: Session, lead_id: int) -> Lead | None:
    return next(iter(leads.by_ids(session, [lead_id])), None)


def _hash(home: Home, email: str) -> str:
    return address_hash(email, home.secret("suppression.key"))


def _language(text: str) -> Language:
    try:
        return Language(text)
    except ValueError as error:
        raise WrongUse(
            "no language that we write in",
            where="language",
            fix=f"one of {', '.join(Language)}",
        ) from error


def _refuse_impossible(
    paused_days: int | None, weekly_cap: int | None, topics: Mapping[str, bool] | None
) -> None:
    if paused_days is not None and not 0 <= paused_days <= _LONGEST_PAUSE:
        raise WrongUse("not a number of days from 0 to 3650", where="paused_days")
    if weekly_cap is not None and not 0 <= weekly_cap <= _MOST_A_WEEK:
        raise WrongUse("not a number of mails from 0 to 100", where="weekly_cap")
    if topics is not None and (
        len(topics) > _MOST_TOPICS or any(not 0 < len(name) <= _TOPIC_LENGTH for name in topics)
    ):
        raise WrongUse("more than 50 topics, or a name longer than 80 characters", where="topics")
