"""Which planned mails wait for their own people, and not for the campaign. Written by `store.fence`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from pigeonry.domain.message import MessageState
from pigeonry.store.models import Message
from pigeonry.store.session import Session

PAUSED, CAPPED = "the lead wants a pause", "frequency cap"


def put_off(session: Session, campaign_id: int, *, reasons: Sequence[str], after: datetime) -> int:
    """How many of a campaign's mails may not leave before a moment after `after`, for one of these reasons."""
    query = select(func.count()).where(
        Message.campaign_id == campaign_id,
        Message.state == MessageState.PLANNED.value,
        Message.not_before > after,
        Message.reason.in_(reasons),
    )
    return session.scalar(query) or 0
