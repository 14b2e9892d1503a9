"""Single messages and counts of events, for programs that look on."""

from __future__ import annotations

from pigeonry.domain import MessageState
from pigeonry.store import campaigns, mail_list
from pigeonry.store.mail_list import EventCount, Mail
from pigeonry.store.session import Database


def listed(
    db: Database,
    campaign_id: int,
    *,
    state: MessageState | None = None,
    after: int = 0,
    limit: int = 100,
) -> tuple[list[Mail], int | None]:
    """Messages of a campaign, and what to give as `after` for the next ones. Raises NotFound."""
    with db.read() as session:
        campaigns.get(session, campaign_id)
        found = mail_list.page(session, campaign_id, state=state, after=after, limit=limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def show(db: Database, message_id: int) -> Mail:
    """Raises NotFound."""
    with db.read() as session:
        return mail_list.one(session, message_id)


def event_counts(db: Database, campaign_id: int) -> list[EventCount]:
    """Raises NotFound."""
    with db.read() as session:
        campaigns.get(session, campaign_id)
        return mail_list.event_counts(session, campaign_id)
