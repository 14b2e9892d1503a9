"""Segments, campaigns, their messages, and what came back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from pigeonry.domain import MessageState
from pigeonry.domain.operator import Scope
from pigeonry.service import campaigns, mails, segments, studio_briefs, studio_run, studio_start
from pigeonry.store.mail_list import Mail
from pigeonry.web.api.once import Key, once
from pigeonry.web.api.routes import Api, Call, TheCall
from pigeonry.web.api.shapes import (
    CampaignIn,
    CampaignOut,
    CampaignRowOut,
    Cursor,
    EventCountOut,
    Id,
    Limit,
    MessageOut,
    Page,
    PeopleOut,
    SegmentOut,
    SendIn,
    StartedOut,
    StateOut,
    VariantOut,
)

router = Api("campaigns")


@router.get("/segments", scope=Scope.LEADS_READ)
def list_segments(call: TheCall) -> list[SegmentOut]:
    """Every segment, largest first."""
    return [
        SegmentOut(
            id=found.id,
            name=found.name,
            description=found.description,
            size=found.size,
            terms=list(found.terms),
        )
        for found in segments.list_segments(call.db)
    ]


@router.get("/campaigns", scope=Scope.CAMPAIGNS_READ)
def list_campaigns(call: TheCall, cursor: Cursor = None, limit: Limit = 50) -> Page[CampaignRowOut]:
    """Campaigns, newest first."""
    rows = studio_briefs.made(call.db, before=cursor, limit=limit + 1)
    items = [
        CampaignRowOut(
            id=row.id,
            name=row.name,
            occurrence=row.occurrence,
            stage=row.stage,
            state=row.state,
            channel=row.channel,
            created_at=row.created_at,
            approved_at=row.approved_at,
            finished_at=row.finished_at,
        )
        for row in rows[:limit]
    ]
    return Page[CampaignRowOut](items=items, next=items[-1].id if len(rows) > limit else None)


@router.post("/campaigns", scope=Scope.CAMPAIGNS_WRITE, status_code=201)
def add_campaign(call: TheCall, body: CampaignIn, answer: Response, key: Key = None) -> CampaignOut:
    """Make a campaign from a brief. The same brief and occurrence again is the same campaign."""

    def make() -> tuple[int, str]:
        made = campaigns.create_campaign(
            call.db,
            call.home,
            body.brief,
            where="brief",
            occurrence=body.occurrence,
            now=call.now,
        )
        return 201, str(made)

    return _campaign(call, int(once(call, key, "POST campaigns", body, answer, make)))


@router.get("/campaigns/{campaign_id}", scope=Scope.CAMPAIGNS_READ)
def show_campaign(call: TheCall, campaign_id: Id) -> CampaignOut:
    """One campaign with its texts and counts."""
    return _campaign(call, campaign_id)


@router.get("/campaigns/{campaign_id}/people", scope=Scope.CAMPAIGNS_READ)
def count_people(call: TheCall, campaign_id: Id) -> PeopleOut:
    """How many people its mails are for, the holdout among them."""
    return PeopleOut(people=studio_start.people(call.db, campaign_id, now=call.now))


@router.post("/campaigns/{campaign_id}/approve", scope=Scope.SEND)
def approve(call: TheCall, campaign_id: Id) -> StateOut:
    """Approve the texts as they are."""
    campaigns.approve(call.db, campaign_id, by=call.actor, now=call.now)
    return _state(call, campaign_id)


@router.post("/campaigns/{campaign_id}/write", scope=Scope.CAMPAIGNS_WRITE, status_code=202)
def write(call: TheCall, campaign_id: Id) -> StartedOut:
    """Start writing and scoring its texts, up to the approval. Sends nothing."""
    begun = studio_start.write(call.db, call.home, campaign_id, by=call.actor, now=call.now)
    return StartedOut(how=begun.how, run=begun.run)


@router.post("/campaigns/{campaign_id}/send", scope=Scope.SEND, status_code=202)
def send(call: TheCall, campaign_id: Id, body: SendIn) -> StartedOut:
    """Start sending what is approved. A large sending needs the number of people in the body."""
    there = studio_start.people(call.db, campaign_id, now=call.now)
    studio_start.confirm(call.home, str(body.people), shown=body.people, now_there=there)
    begun = studio_start.send(call.db, call.home, campaign_id, by=call.actor, now=call.now)
    return StartedOut(how=begun.how, run=begun.run)


@router.post("/campaigns/{campaign_id}/pause", scope=Scope.CAMPAIGNS_WRITE)
def pause(call: TheCall, campaign_id: Id) -> StateOut:
    """Nothing more leaves until somebody resumes it."""
    return StateOut(id=campaign_id, state=studio_run.change(call.db, campaign_id, "pause"))


@router.post("/campaigns/{campaign_id}/resume", scope=Scope.SEND)
def resume(call: TheCall, campaign_id: Id) -> StateOut:
    """Let a paused campaign go on; `send` starts the sending."""
    return StateOut(id=campaign_id, state=studio_run.change(call.db, campaign_id, "resume"))


@router.post("/campaigns/{campaign_id}/cancel", scope=Scope.SEND)
def cancel(call: TheCall, campaign_id: Id) -> StateOut:
    """End it: what has not left will not."""
    return StateOut(id=campaign_id, state=studio_run.change(call.db, campaign_id, "cancel"))


@router.get("/campaigns/{campaign_id}/messages", scope=Scope.CAMPAIGNS_READ)
def list_messages(
    call: TheCall,
    campaign_id: Id,
    state: Annotated[MessageState | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[MessageOut]:
    """Its messages in the order of their numbers."""
    found, following = mails.listed(
        call.db, campaign_id, state=state, after=cursor or 0, limit=limit
    )
    return Page[MessageOut](items=[_message(mail) for mail in found], next=following)


@router.get("/messages/{message_id}", scope=Scope.CAMPAIGNS_READ)
def show_message(call: TheCall, message_id: Id) -> MessageOut:
    """One message."""
    return _message(mails.show(call.db, message_id))


@router.get("/campaigns/{campaign_id}/events", scope=Scope.CAMPAIGNS_READ)
def count_events(call: TheCall, campaign_id: Id) -> list[EventCountOut]:
    """What came back, counted by kind."""
    return [
        EventCountOut(kind=row.kind, events=row.events, messages=row.messages)
        for row in mails.event_counts(call.db, campaign_id)
    ]


def _campaign(call: Call, campaign_id: int) -> CampaignOut:
    found = campaigns.view(call.db, campaign_id)
    return CampaignOut(
        id=found.campaign,
        name=found.name,
        stage=found.stage,
        state=found.state,
        planned=found.planned,
        held_out=found.held_out,
        sent=found.sent,
        failed=found.failed,
        cancelled=found.cancelled,
        parked=found.parked,
        waiting=found.waiting,
        approved=bool(found.approved_by),
        cost_micros=found.cost_micros,
        currency=found.currency,
        wait_until=found.wait_until,
        variants=[
            VariantOut(
                id=variant.id,
                segment_id=variant.segment_id,
                language=variant.language,
                arm=variant.arm,
                tier=variant.tier,
                subject=variant.copy.subject,
            )
            for variant in found.variants
        ],
    )


def _state(call: Call, campaign_id: int) -> StateOut:
    return StateOut(id=campaign_id, state=campaigns.view(call.db, campaign_id).state)


def _message(mail: Mail) -> MessageOut:
    return MessageOut(
        id=mail.id,
        campaign_id=mail.campaign_id,
        lead_id=mail.lead_id,
        variant_id=mail.variant_id,
        wave=mail.wave,
        channel=mail.channel,
        state=mail.state,
        reason=mail.reason,
        status=mail.status,
        planned_at=mail.planned_at,
        accepted_at=mail.accepted_at,
    )
