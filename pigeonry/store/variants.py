"""Queries about variants: what was written, with its checks, and what is predicted for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, insert, select, update

from pigeonry.domain import CacheStatus, Copy, Draft, Language
from pigeonry.domain import Variant as DomainVariant
from pigeonry.domain.variant import PERSON
from pigeonry.errors import NotFound
from pigeonry.store import ledger
from pigeonry.store.models import CheckResult, Variant
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Check:
    """A check behind a variant: one that a refused proposal did not pass, or `passed` for the text
    that ships."""

    check: str
    field: str
    passed: bool
    detail: str


def of_campaign(session: Session, campaign_id: int) -> list[DomainVariant]:
    """A campaign's variants by segment, language and arm."""
    rows = session.scalars(
        select(Variant)
        .where(Variant.campaign_id == campaign_id)
        .order_by(Variant.segment_id, Variant.language, Variant.arm)
    )
    return [_variant(row) for row in rows]


def get(session: Session, variant_id: int) -> DomainVariant:
    """A variant. Raises NotFound."""
    row = session.get(Variant, variant_id)
    if row is None:
        raise NotFound("no such variant", where=f"variant {variant_id}")
    return _variant(row)


def add(
    session: Session, campaign_id: int, draft: Draft, *, passed: Sequence[str], at: datetime
) -> int:
    """Store a draft with its ledger and checks; `passed` names the checks that the text that ships
    was held to. A cell and arm that is there already is kept and its id returned."""
    known = session.scalar(
        select(Variant.id).where(
            Variant.campaign_id == campaign_id,
            Variant.segment_id == draft.segment_id,
            Variant.language == draft.language.value,
            Variant.arm == draft.arm,
        )
    )
    if known is not None:
        return known
    cost = sum(entry.cost_micros for entry in draft.ledger)
    row = Variant(
        campaign_id=campaign_id,
        segment_id=draft.segment_id,
        language=draft.language.value,
        arm=draft.arm,
        prompt=draft.prompt,
        prompt_version=draft.prompt_version,
        template=draft.template,
        tier=draft.tier,
        model=draft.model,
        cache=draft.cache.value,
        subject=draft.copy.subject,
        preheader=draft.copy.preheader,
        hook=draft.copy.hook,
        body=list(draft.copy.body),
        cta=draft.copy.cta,
        cost_micros=cost,
        currency=next(
            (e.currency for e in draft.ledger if e.cost_micros), draft.ledger[-1].currency
        )
        if draft.ledger
        else "EUR",
        predicted_click=None,
        created_at=at,
    )
    session.add(row)
    session.flush()
    ledger.add(session, campaign_id, draft.ledger, variant_id=row.id)
    checks = [
        {
            "variant_id": row.id,
            "check": v.check[:40],
            "field": v.field[:40],
            "passed": False,
            "detail": v.detail,
        }
        for v in draft.violations
    ] + [
        {"variant_id": row.id, "check": name[:40], "field": "", "passed": True, "detail": ""}
        for name in passed
    ]
    if checks:
        session.execute(insert(CheckResult), checks)
    return row.id


def checks(session: Session, campaign_id: int) -> dict[int, list[Check]]:
    """Every check behind each variant of a campaign, in the order in which they were made."""
    found: dict[int, list[Check]] = {}
    rows = session.execute(
        select(
            CheckResult.variant_id,
            CheckResult.check,
            CheckResult.field,
            CheckResult.passed,
            CheckResult.detail,
        )
        .join(Variant, Variant.id == CheckResult.variant_id)
        .where(Variant.campaign_id == campaign_id)
        .order_by(CheckResult.id)
    )
    for variant_id, check, field, passed, detail in rows:
        found.setdefault(variant_id, []).append(Check(check, field, passed, detail))
    return found


def refusals(session: Session, campaign_id: int) -> dict[str, int]:
    """Check -> how many proposals of a campaign did not pass it."""
    rows = session.execute(
        select(CheckResult.check, func.count())
        .join(Variant, Variant.id == CheckResult.variant_id)
        .where(Variant.campaign_id == campaign_id, CheckResult.passed.is_(False))
        .group_by(CheckResult.check)
        .order_by(func.count().desc(), CheckResult.check)
    )
    return {str(check): int(count) for check, count in rows}


def rewrite(session: Session, variant_id: int, copy: Copy) -> None:
    """A person's words in place of a writer's. What was predicted for the other text says nothing of it."""
    session.execute(
        update(Variant)
        .where(Variant.id == variant_id)
        .values(
            subject=copy.subject,
            preheader=copy.preheader,
            hook=copy.hook,
            body=list(copy.body),
            cta=copy.cta,
            tier=PERSON,
            model="",
            cache=CacheStatus.NONE.value,
            predicted_click=None,
        )
    )


def print_of(variants: Iterable[DomainVariant]) -> str:
    """A fingerprint of these texts: another one as soon as a word is another."""
    digest = hashlib.sha256()
    for variant in sorted(variants, key=lambda one: one.id):
        copy = variant.copy
        words = [copy.subject, copy.preheader, copy.hook, *copy.body, copy.cta]
        digest.update(json.dumps([variant.id, words]).encode())
    return digest.hexdigest()[:32]


def set_predictions(session: Session, predictions: Mapping[int, float]) -> None:
    """Variant id -> predicted probability of a human click."""
    if predictions:
        table = Variant.__table__
        session.connection().execute(
            update(table).where(table.c.id == bindparam("variant")),  # type: ignore[arg-type]
            [{"variant": key, "predicted_click": value} for key, value in predictions.items()],
        )


def _variant(row: Variant) -> DomainVariant:
    return DomainVariant(
        id=row.id,
        campaign_id=row.campaign_id,
        segment_id=row.segment_id,
        language=Language(row.language),
        arm=row.arm,
        prompt=row.prompt,
        prompt_version=row.prompt_version,
        template=row.template,
        tier=row.tier,
        model=row.model,
        copy=Copy(row.subject, row.preheader, row.hook, tuple(row.body), row.cta),
        cost_micros=row.cost_micros,
        predicted_click=row.predicted_click,
    )


def cache_of(session: Session, campaign_id: int) -> dict[int, CacheStatus]:
    """Whether each variant's text was a cached answer."""
    rows = session.execute(
        select(Variant.id, Variant.cache).where(Variant.campaign_id == campaign_id)
    )
    return {variant_id: CacheStatus(cache) for variant_id, cache in rows}
