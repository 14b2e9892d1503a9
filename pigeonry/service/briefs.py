"""A campaign with its brief, as every stage needs it. Knows no stage."""

from __future__ import annotations

from pigeonry.domain.brief import Brief
from pigeonry.store import campaigns as store
from pigeonry.store.session import Database


def load(db: Database, campaign_id: int) -> tuple[store.CampaignRow, Brief]:
    from generation.brief import parse_brief

    with db.read() as session:
        row = store.get(session, campaign_id)
        source = store.brief_source(session, campaign_id)
    return row, parse_brief(source, where=f"campaign {campaign_id}")
