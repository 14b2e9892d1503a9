"""Leads, and addresses that nobody may write to."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from pigeonry.domain import ConsentClaim
from pigeonry.domain.operator import Scope
from pigeonry.service import lead_book, lead_entry
from pigeonry.web.api.once import Key, once
from pigeonry.web.api.routes import Api, Call, TheCall
from pigeonry.web.api.shapes import (
    Cursor,
    Email,
    ErasedOut,
    Id,
    LeadIn,
    LeadOut,
    LeadRow,
    Limit,
    Page,
    SuppressionIn,
    SuppressionOut,
)

router = Api("leads")


@router.get("/leads", scope=Scope.LEADS_READ)
def list_leads(
    call: TheCall,
    q: Annotated[
        str, Query(max_length=100, pattern=r"^[^\x00]*$", description="address, name, company …")
    ] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[LeadRow]:
    """Leads, newest first."""
    found, following = lead_book.search(call.db, q, before_id=cursor, limit=limit)
    return Page[LeadRow](
        items=[
            LeadRow(
                id=row.id,
                email=row.email,
                name=row.name,
                company=row.company,
                city=row.city,
                segment=row.segment,
                consent=row.consent,
                suppressed=row.suppressed,
                created_at=row.created_at,
            )
            for row in found
        ],
        next=following,
    )


@router.post(
    "/leads",
    scope=Scope.LEADS_WRITE,
    status_code=201,
    responses={200: {"model": LeadOut, "description": "it was known, and is merged"}},
)
def add_lead(call: TheCall, body: LeadIn, answer: Response, key: Key = None) -> LeadOut:
    """Add a lead, or merge it into the one with that address; consent and stops only ever get stricter."""

    def make() -> tuple[int, str]:
        said = body.consent
        claim = ConsentClaim(said.basis, said.source, said.evidence) if said else None
        entry = lead_entry.enter(
            call.db,
            call.home,
            body.model_dump(exclude={"attributes", "consent", "do_not_mail"}),
            attributes=body.attributes,
            consent=claim,
            do_not_mail=body.do_not_mail,
            source=f"api {call.who.token.name}"[:200],
            by=call.actor,
            now=call.now,
        )
        return (201 if entry.created else 200), str(entry.lead_id)

    return _lead(call, int(once(call, key, "POST leads", body, answer, make)))


@router.get("/leads/{lead_id}", scope=Scope.LEADS_READ)
def show_lead(call: TheCall, lead_id: Id) -> LeadOut:
    """One lead, and whether it may be written to."""
    return _lead(call, lead_id)


@router.get("/leads/{lead_id}/export", scope=Scope.PRIVACY_EXPORT, response_model=None)
def export_lead(call: TheCall, lead_id: Id) -> dict[str, object]:
    """Everything that is stored about a person (GDPR Art. 15 and 20)."""
    return lead_book.export(call.db, call.home, lead_id, by=call.actor, now=call.now)


@router.delete("/leads/{lead_id}", scope=Scope.PRIVACY_ERASE, errors=(409,))
def erase_lead(call: TheCall, lead_id: Id) -> ErasedOut:
    """Erase a person for good (GDPR Art. 17). A keyed hash of the address stays, so that nobody writes to it."""
    email = lead_book.story(call.db, lead_id).lead.email
    done = lead_book.erase(call.db, call.home, lead_id, typed=email, by=call.actor, now=call.now)
    return ErasedOut(
        rows=sum(done.rows.values()),
        files=done.files,
        left=len(done.left),
        not_done=len(done.notes),
    )


@router.get("/suppressions", scope=Scope.LEADS_READ)
def show_suppression(call: TheCall, email: Annotated[Email, Query()]) -> SuppressionOut:
    """Whether nobody may write to an address, a lead's or not."""
    row = lead_entry.stopped(call.db, call.home, email)
    if row is None:
        return SuppressionOut(suppressed=False)
    return SuppressionOut(suppressed=True, reason=row.reason, at=row.at)


@router.post(
    "/suppressions",
    scope=Scope.LEADS_WRITE,
    status_code=201,
    responses={200: {"model": SuppressionOut, "description": "it was so already"}},
)
def add_suppression(
    call: TheCall, body: SuppressionIn, answer: Response, key: Key = None
) -> SuppressionOut:
    """Never write to an address again."""

    def make() -> tuple[int, str]:
        source = body.source or f"api {call.who.token.name}"
        fresh = lead_entry.stop(
            call.db, call.home, body.email, by=call.actor, source=source, now=call.now
        )
        return (201 if fresh else 200), "suppression"

    once(call, key, "POST suppressions", body, answer, make)
    return show_suppression(call, body.email)


def _lead(call: Call, lead_id: int) -> LeadOut:
    told = lead_book.story(call.db, lead_id)
    lead = told.lead
    return LeadOut(
        id=lead.id,
        email=lead.email,
        first_name=lead.first_name,
        last_name=lead.last_name,
        company=lead.company,
        phone=lead.phone,
        language=lead.language,
        country=lead.country,
        city=lead.city,
        timezone=lead.timezone,
        external_id=lead.external_id,
        attributes=dict(lead.attributes),
        segment_id=lead.segment_id,
        consent=next((one.state for one in told.consents if one.counts), None),
        suppressed=told.suppressed,
        created_at=lead.created_at,
        updated_at=lead.updated_at,
    )
