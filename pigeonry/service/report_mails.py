"""The variants of a campaign as the mails they become, with everything that stands behind each."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pigeonry.config import Home
from pigeonry.delivery.links import Links
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.domain import Brief, CacheStatus, CallOutcome, LedgerEntry, Variant
from pigeonry.errors import PigeonryError
from pigeonry.service.report_data import AttemptFacts, CheckFacts, MailFacts
from pigeonry.store import ledger, variants
from pigeonry.store.campaigns import CampaignRow
from pigeonry.store.session import Database

# Nobody: the address is reserved by RFC 2606, and lead 0 does not exist.
_SAMPLE = Recipient(lead_id=0, email="ana@example.com", first_name="Ana")
_LIBRARY = "library"


@dataclass(frozen=True, slots=True)
class Writing:
    """What the writing of a campaign took. `broken` counts checks that proposals did not pass (one
    proposal may break several), `refused` the proposals that were not taken, of `proposals` in all."""

    cost_micros: int
    currency: str
    calls: int
    cache_hits: int
    seconds: float
    local_model: str
    note: str
    broken: Mapping[str, int]
    refused: int
    proposals: int


def writing_of(db: Database, row: CampaignRow, brief: Brief) -> Writing:
    with db.read() as session:
        spent = ledger.spent(session, row.id)
        tiers = [tier for tier in ledger.by_tier(session, row.id) if tier.tier != _LIBRARY]
        broken = variants.refusals(session, row.id)
    note = row.notes.get("write", {})
    return Writing(
        cost_micros=spent.cost_micros,
        currency=spent.currency or brief.budget_currency,
        calls=spent.calls,
        cache_hits=spent.cache_hits,
        seconds=spent.seconds,
        local_model=str(note.get("local_model", "")),
        note=str(note.get("note", "")),
        broken=broken,
        refused=sum(tier.refused for tier in tiers),
        proposals=sum(tier.accepted + tier.refused for tier in tiers),
    )


def mails_of(
    db: Database, home: Home, row: CampaignRow, brief: Brief, names: Mapping[int, str]
) -> tuple[MailFacts, ...]:
    """Every variant, largest segment first (the order of `names`), laid out for a sample reader."""
    with db.read() as session:
        written = variants.of_campaign(session, row.id)
        checks = variants.checks(session, row.id)
        cached = variants.cache_of(session, row.id)
        attempts: dict[int, list[LedgerEntry]] = {}
        for variant_id, entry in ledger.entries(session, row.id):
            if variant_id is not None:
                attempts.setdefault(variant_id, []).append(entry)
    # A key of the moment: the unsubscribe link of a sample must not work.
    links = Links(home.settings.links.base_url, {1: secrets.token_bytes(32)})
    cold = bool(row.notes.get("score", {}).get("cold_start", True))
    places = {segment_id: place for place, segment_id in enumerate(names)}
    languages = {language: place for place, language in enumerate(brief.languages)}
    written.sort(
        key=lambda variant: (
            places.get(variant.segment_id, len(places)),
            languages.get(variant.language, len(languages)),
            variant.arm,
        )
    )
    return tuple(
        _mail(
            variant,
            brief,
            links,
            attempts.get(variant.id, []),
            tuple(
                CheckFacts(check.check, check.field, check.passed, check.detail)
                for check in checks.get(variant.id, [])
            ),
            cached.get(variant.id, CacheStatus.NONE),
            segment=names.get(variant.segment_id, f"segment {variant.segment_id}"),
            cold_start=cold,
            at=row.created_at,
        )
        for variant in written
    )


def _mail(
    variant: Variant,
    brief: Brief,
    links: Links,
    attempts: list[LedgerEntry],
    checks: tuple[CheckFacts, ...],
    cache: CacheStatus,
    *,
    segment: str,
    cold_start: bool,
    at: datetime,
) -> MailFacts:
    html, note = _laid_out(variant, brief, links, at)
    paid = [entry for entry in attempts if entry.cache is not CacheStatus.HIT]
    return MailFacts(
        arm=variant.arm,
        language=variant.language.value,
        segment_id=variant.segment_id,
        segment=segment,
        sender=brief.sender.name,
        subject=variant.copy.subject,
        preheader=variant.copy.preheader,
        hook=variant.copy.hook,
        body=variant.copy.body,
        cta=variant.copy.cta,
        html=html,
        prompt=variant.prompt,
        prompt_version=variant.prompt_version,
        tier=variant.tier,
        model=variant.model,
        template=variant.template,
        cache=cache.value,
        tokens_in=sum(entry.tokens_in for entry in paid),
        tokens_out=sum(entry.tokens_out for entry in paid),
        cost_micros=variant.cost_micros,
        currency=next((entry.currency for entry in paid if entry.cost_micros), "")
        or brief.budget_currency,
        predicted_click=variant.predicted_click,
        cold_start=cold_start,
        attempts=tuple(_attempt(entry) for entry in attempts),
        checks=checks,
        note=note,
    )


def _laid_out(variant: Variant, brief: Brief, links: Links, at: datetime) -> tuple[str, str]:
    """The HTML part for the sample reader, or "" and why there is none."""
    try:
        mail = compile_mail(
            variant.copy, brief, variant.language, campaign_id=variant.campaign_id, arm=variant.arm
        )
        return mail.render(_SAMPLE, links, send_key="0" * 32, at=at).html, ""
    except PigeonryError as error:  # the page says it in the mail's place
        return "", f"This mail cannot be laid out: {error.what}."


def _attempt(entry: LedgerEntry) -> AttemptFacts:
    return AttemptFacts(
        tier=entry.tier,
        model=entry.model,
        task=entry.task,
        outcome=entry.outcome.value,
        reason=entry.reason,
        proposal=entry.proposal if entry.outcome is not CallOutcome.SKIPPED else "",
        cache=entry.cache.value,
        tokens_in=entry.tokens_in,
        tokens_out=entry.tokens_out,
        cost_micros=entry.cost_micros,
        currency=entry.currency,
        seconds=entry.seconds,
    )
