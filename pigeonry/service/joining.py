"""Lets a lead that came later take part in a campaign that a person has approved.

The lead draws its lot by the shares that the campaign decided, and gets one of its approved texts, once: a
lot and a message are unique by campaign and lead. Consent, suppression and everything else that may forbid
a mail are looked at here as for everybody, and again by the fence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pigeonry.config import Home
from pigeonry.domain import HOLDOUT, PlannedMessage
from pigeonry.domain.address import address_hash
from pigeonry.domain.message import MessageState
from pigeonry.service.briefs import load
from pigeonry.service.campaigns import END
from pigeonry.service.stages import STAGES
from pigeonry.store import assignments, campaigns, leads, messages
from pigeonry.store.campaigns import CampaignRow
from pigeonry.store.session import Database
from scoring import allocate
from scoring.allocate import REST_WAVE


class Joined(StrEnum):
    PLANNED = "planned"
    HELD_OUT = "held out"  # the lot that gets no mail, as in every campaign
    ALREADY = "already in it"
    WITH_ALL = "drawn with all others"  # the campaign has not drawn its last lots yet
    NOT_MAILABLE = "may not be written to"
    NO_TEXT = "no text for its segment"
    NO_CAMPAIGN = "no approved campaign of that name"


@dataclass(frozen=True, slots=True)
class Joining:
    """What became of a lead; `campaign_id` 0 where there is none."""

    outcome: Joined
    campaign_id: int = 0


def join_campaign(db: Database, home: Home, name: str, lead_id: int, *, now: datetime) -> Joining:
    """Plan the mail of one lead in the newest approved campaign of that name. Safe to run twice."""
    with db.read() as session:
        row = campaigns.newest_approved(session, name)
    if row is None:
        return Joining(Joined.NO_CAMPAIGN)
    if not _drawn(row):
        return Joining(Joined.WITH_ALL, row.id)
    return Joining(_join(db, home, row, lead_id, now), row.id)


def with_mail_to_send(db: Database, names: set[str]) -> list[int]:
    """Approved campaigns of these names that have drawn all lots and have mail that nobody sends yet."""
    found = []
    with db.read() as session:
        for name in sorted(names):
            row = campaigns.newest_approved(session, name)
            if row is None or not _drawn(row) or row.state not in ("running", "waiting", "done"):
                continue
            if messages.counts(session, row.id)[MessageState.PLANNED]:
                found.append(row.id)
    return found


def _drawn(row: CampaignRow) -> bool:
    return row.stage == END or STAGES.index(row.stage) > STAGES.index("assign_rest")


def _join(db: Database, home: Home, row: CampaignRow, lead_id: int, now: datetime) -> Joined:
    _, brief = load(db, row.id)
    key = home.secret("suppression.key")
    with db.write() as session:
        if assignments.drawn(session, row.id, [lead_id]):
            return Joined.ALREADY
        next_ones = leads.mailable(
            session,
            countries=brief.countries,
            topic=brief.topic,
            after_id=lead_id - 1,
            limit=1,
            now=now,
        )
        lead = next((one for one in next_ones if one.id == lead_id), None)
        if lead is None:
            return Joined.NOT_MAILABLE
        language = lead.language if lead.language in brief.languages else brief.languages[0]
        texts = assignments.texts(session, row.id).get((lead.segment_id or 0, str(language)), {})
        shares = campaigns.plan(session, row.id)["rest"]["shares"].get(str(lead.segment_id), {})
        possible = allocate.restrict(shares, texts) if shares else {}
        if not possible or lead.segment_id is None:
            return Joined.NO_TEXT
        lot = allocate.assign(
            seed=row.seed,
            lead_id=lead_id,
            segment_id=lead.segment_id,
            wave=REST_WAVE,
            shares=possible,
            holdout=brief.experiment.holdout,
        )
        assignments.add(session, row.id, [lot], now)
        if lot.arm == HOLDOUT:
            return Joined.HELD_OUT
        planned = PlannedMessage(
            campaign_id=row.id,
            lead_id=lead_id,
            variant_id=texts[lot.arm],
            wave=REST_WAVE,
            address_hash=address_hash(lead.email, key),
            channel=row.channel,
            occurrence=row.occurrence,
        )
        return Joined.PLANNED if messages.plan(session, [planned], now) else Joined.ALREADY
