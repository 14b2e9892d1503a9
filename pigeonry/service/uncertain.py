"""A person's word on messages of which nobody knows whether they left."""

from __future__ import annotations

from datetime import datetime

from pigeonry.service.campaigns import END
from pigeonry.store import campaigns, messages, pulse
from pigeonry.store.session import Database

_SENDS = "send_rest"  # the last stage that sends whatever is planned


def resolve(db: Database, message_id: int, sent: bool, *, now: datetime) -> bool:
    """It was sent, or it was not and is planned again. Returns whether its campaign, which was done, has to
    run once more for that; in a cancelled campaign it is cancelled like all that had not left.

    Raises NotFound, or Refused for a message whose outcome is known.
    """
    with db.write() as session:
        messages.resolve(session, message_id, sent=sent, at=now)
        number = pulse.campaign_of(session, message_id)
        if sent or number is None:
            return False
        row = campaigns.lock(session, number)
        if row.state == "cancelled":
            messages.cancel_planned(session, row.id, reason="the campaign was cancelled")
        if row.stage != END:
            return False
        campaigns.update_state(session, row.id, stage=_SENDS, state="waiting", finished_at=None)
    return True
