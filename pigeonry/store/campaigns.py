"""Queries about campaigns, their briefs and the arms of their experiments."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from pigeonry.errors import NotFound
from pigeonry.store.models import BriefVersion, Campaign, Experiment
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign as stored. `stage` is the next stage to do; `notes` what finished stages counted."""

    id: int
    name: str
    occurrence: str
    stage: str
    state: str
    seed: int
    channel: str
    notes: Mapping[str, Any]
    approved_by: str
    approved_at: datetime | None
    wait_until: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """An arm: the prompt it stands for, and the probability with which the lot picked that prompt."""

    prompt: str
    version: str
    probability: float


def create(
    session: Session,
    *,
    name: str,
    brief_source: str,
    occurrence: str,
    stage: str,
    seed: int,
    channel: str,
    at: datetime,
    topic: str = "",
) -> int:
    digest = hashlib.sha256(brief_source.encode()).hexdigest()
    version = session.scalar(select(BriefVersion).where(BriefVersion.content_hash == digest))
    if version is None:
        version = BriefVersion(content_hash=digest, name=name, source=brief_source, created_at=at)
        session.add(version)
        session.flush()
    campaign = Campaign(
        name=name,
        brief_version_id=version.id,
        occurrence=occurrence,
        stage=stage,
        state="running",
        seed=seed,
        channel=channel,
        topic=topic,
        notes={},
        approved_by="",
        created_at=at,
    )
    session.add(campaign)
    session.flush()
    return campaign.id


def find(session: Session, *, name: str, occurrence: str) -> int | None:
    """The campaign of a brief's name and occurrence."""
    return session.scalar(
        select(Campaign.id).where(Campaign.name == name, Campaign.occurrence == occurrence)
    )


def newest_approved(session: Session, name: str) -> CampaignRow | None:
    """The newest campaign of that name whose texts a person approved, unless it was cancelled."""
    row = session.scalar(
        select(Campaign)
        .where(
            Campaign.name == name, Campaign.approved_at.is_not(None), Campaign.state != "cancelled"
        )
        .order_by(Campaign.id.desc())
        .limit(1)
    )
    return None if row is None else _row(row)


def get(session: Session, campaign_id: int) -> CampaignRow:
    row = session.get(Campaign, campaign_id)
    if row is None:
        raise NotFound(
            "no such campaign",
            where=f"campaign {campaign_id}",
            fix="`pigeonry campaign list` shows their numbers",
        )
    return _row(row)


def lock(session: Session, campaign_id: int) -> CampaignRow:
    """The campaign as it is now; nobody else changes it before this transaction ends. Raises NotFound."""
    session.scalar(select(Campaign.id).where(Campaign.id == campaign_id).with_for_update())
    session.expire_all()
    return get(session, campaign_id)


def every(session: Session) -> list[CampaignRow]:
    """All campaigns, newest first."""
    return [_row(row) for row in session.scalars(select(Campaign).order_by(Campaign.id.desc()))]


def in_state(session: Session, *states: str) -> list[CampaignRow]:
    """Campaigns in one of these states, oldest first."""
    query = select(Campaign).where(Campaign.state.in_(states)).order_by(Campaign.id)
    return [_row(row) for row in session.scalars(query)]


def newest(session: Session, *, limit: int, before: int | None = None) -> list[CampaignRow]:
    """The newest campaigns; pass the last one's number for the page after it."""
    query = select(Campaign).order_by(Campaign.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Campaign.id < before)
    return [_row(row) for row in session.scalars(query)]


def page(session: Session, *, before: int | None, limit: int) -> list[CampaignRow]:
    """The newest campaigns with a number below `before`."""
    query = select(Campaign).order_by(Campaign.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Campaign.id < before)
    return [_row(row) for row in session.scalars(query)]


def brief_source(session: Session, campaign_id: int) -> str:
    """The TOML text of the brief as it was when the campaign was made."""
    source = session.scalar(
        select(BriefVersion.source)
        .join(Campaign, Campaign.brief_version_id == BriefVersion.id)
        .where(Campaign.id == campaign_id)
    )
    if source is None:
        raise NotFound("no such campaign", where=f"campaign {campaign_id}")
    return source


def advance(
    session: Session, campaign_id: int, *, done: str, then: str, note: Mapping[str, Any]
) -> None:
    """Record that stage `done` is done. Does nothing when another run has moved on already."""
    row = session.get(Campaign, campaign_id)
    if row is not None and row.stage == done:
        row.notes = {**row.notes, done: dict(note)}
        row.stage = then


def update_state(session: Session, campaign_id: int, **values: Any) -> None:
    """Set columns of one campaign: state, wait_until, finished_at, approved_by, approved_at."""
    session.execute(update(Campaign).where(Campaign.id == campaign_id).values(**values))


def arms(session: Session, campaign_id: int) -> dict[str, ArmPlan]:
    """The experiment's arms by letter; empty before they are chosen."""
    found = session.scalar(select(Experiment.arms).where(Experiment.campaign_id == campaign_id))
    return {letter: ArmPlan(**plan) for letter, plan in sorted((found or {}).items())}


def plan(session: Session, campaign_id: int) -> dict[str, Any]:
    """What was decided about the experiment so far (shares, sizes, reasons), for the report."""
    return dict(
        session.scalar(select(Experiment.plan).where(Experiment.campaign_id == campaign_id)) or {}
    )


def set_arms(
    session: Session, campaign_id: int, chosen: Mapping[str, ArmPlan], at: datetime
) -> None:
    """Store the arms once; a second call changes nothing."""
    if session.scalar(select(Experiment.id).where(Experiment.campaign_id == campaign_id)) is None:
        session.add(
            Experiment(
                campaign_id=campaign_id,
                arms={
                    letter: {"prompt": a.prompt, "version": a.version, "probability": a.probability}
                    for letter, a in chosen.items()
                },
                plan={},
                created_at=at,
            )
        )


def add_to_plan(session: Session, campaign_id: int, part: Mapping[str, Any]) -> None:
    """Merge a part into the experiment's plan."""
    row = session.scalar(select(Experiment).where(Experiment.campaign_id == campaign_id))
    if row is not None:
        row.plan = {**row.plan, **part}


def _row(row: Campaign) -> CampaignRow:
    return CampaignRow(
        id=row.id,
        name=row.name,
        occurrence=row.occurrence,
        stage=row.stage,
        state=row.state,
        seed=row.seed,
        channel=row.channel,
        notes=row.notes,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        wait_until=row.wait_until,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
