"""Queries about notices to other programs, and about the rows that they are made from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, func, select, update

from pigeonry.domain.message import MessageState
from pigeonry.domain.notice import News, Notice, NoticeAddress, NoticeKind, NoticeState
from pigeonry.store import summaries
from pigeonry.store.bulk import insert_ignoring
from pigeonry.store.models import Campaign, Lead, Message, Suppression
from pigeonry.store.models import Notice as Row
from pigeonry.store.models import NoticeAddress as AddressRow
from pigeonry.store.session import Session


def add_address(
    session: Session, *, url: str, kinds: Iterable[NoticeKind], secret: bytes, at: datetime
) -> NoticeAddress:
    row = AddressRow(url=url, kinds=[kind.value for kind in kinds], secret=secret, created_at=at)
    session.add(row)
    session.flush()
    return _address(row)


def addresses(session: Session) -> list[NoticeAddress]:
    return [_address(row) for row in session.scalars(select(AddressRow).order_by(AddressRow.id))]


def secret_of(session: Session, address_id: int) -> bytes | None:
    return session.scalar(select(AddressRow.secret).where(AddressRow.id == address_id))


def remove_address(session: Session, address_id: int) -> bool:
    """The address and its notices."""
    gone = session.execute(delete(AddressRow).where(AddressRow.id == address_id))
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def stop_address(session: Session, address_id: int, at: datetime) -> None:
    session.execute(update(AddressRow).where(AddressRow.id == address_id).values(stopped_at=at))


def known(session: Session, address_id: int, keys: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        found |= set(
            session.scalars(select(Row.key).where(Row.address_id == address_id, Row.key.in_(part)))
        )
    return found


def add(session: Session, address_id: int, news: Iterable[News], now: datetime) -> int:
    """How many were new: another process may have told of them meanwhile."""
    count = 0
    for one in news:
        added = session.execute(
            insert_ignoring(session, Row)
            .values(
                address_id=address_id,
                key=one.key,
                kind=one.kind.value,
                at=one.at,
                facts=dict(one.facts),
                state=NoticeState.WAITING.value,
                attempts=0,
                next_at=now,
                answer="",
            )
            .returning(Row.id)
        )
        count += added.first() is not None
    return count


def due(session: Session, now: datetime, limit: int) -> list[Notice]:
    rows = session.scalars(
        select(Row)
        .where(Row.state == NoticeState.WAITING.value, Row.next_at <= now)
        .order_by(Row.next_at, Row.id)
        .limit(limit)
    )
    return [_notice(row) for row in rows]


def claim(session: Session, notice: Notice, until: datetime) -> bool:
    """Take it for a while; False when somebody else did."""
    changed = session.execute(
        update(Row)
        .where(
            Row.id == notice.id,
            Row.state == NoticeState.WAITING.value,
            Row.attempts == notice.attempts,
        )
        .values(attempts=notice.attempts + 1, next_at=until)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def settle(
    session: Session,
    notice_id: int,
    state: NoticeState,
    *,
    answer: str,
    next_at: datetime,
    sent_at: datetime | None = None,
) -> None:
    session.execute(
        update(Row)
        .where(Row.id == notice_id)
        .values(state=state.value, answer=answer[:200], next_at=next_at, sent_at=sent_at)
    )


def newest(session: Session, limit: int) -> list[Notice]:
    return [
        _notice(row) for row in session.scalars(select(Row).order_by(Row.id.desc()).limit(limit))
    ]


def forget(session: Session, before: datetime) -> None:
    """Take away what was settled long ago. What it told of is older than what is looked for anew."""
    session.execute(delete(Row).where(Row.state != NoticeState.WAITING.value, Row.next_at < before))


def finished_campaigns(session: Session, since: datetime) -> list[News]:
    rows = session.execute(
        select(Campaign.id, Campaign.name, Campaign.state, Campaign.finished_at).where(
            Campaign.finished_at > since
        )
    )
    return [
        News(
            f"campaign.finished:{number}",
            NoticeKind.CAMPAIGN_FINISHED,
            at,
            {"campaign": number, "name": name, "state": state},
        )
        for number, name, state, at in rows
    ]


def parked_messages(session: Session, now: datetime) -> list[News]:
    """Campaigns with messages that wait for a person's word; news again when there are others."""
    rows = session.execute(
        select(Message.campaign_id, func.count(), func.max(Message.id))
        .where(Message.state == MessageState.PARKED.value)
        .group_by(Message.campaign_id)
    )
    return [
        News(
            f"messages.parked:{campaign}:{last}",
            NoticeKind.MESSAGES_PARKED,
            now,
            {"campaign": campaign, "parked": count},
        )
        for campaign, count, last in rows
    ]


def suppressed_leads(session: Session, since: datetime) -> list[News]:
    """Leads to whom nobody writes any more, by number; addresses of nobody are not told."""
    rows = session.execute(
        select(Lead.id, Suppression.reason, Suppression.at)
        .join(Lead, Lead.address_hash == Suppression.address_hash)
        .where(Suppression.at > since)
    )
    return [
        News(
            f"lead.suppressed:{lead}:{reason}",
            NoticeKind.LEAD_SUPPRESSED,
            at,
            {"lead": lead, "reason": reason},
        )
        for lead, reason, at in rows
    ]


def drifted(session: Session, since: datetime) -> list[News]:
    """What the last learning found to have shifted."""
    kept = summaries.get(session, summaries.LEARNED)
    if kept is None or kept.at <= since:
        return []
    return [
        News(
            f"drift:{row['what']}:{kept.at:%Y%m%dT%H%M%S}"[:120],
            NoticeKind.DRIFT,
            kept.at,
            {
                "what": str(row["what"]),
                "before": float(row["before"]),
                "after": float(row["after"]),
            },
        )
        for row in kept.facts.get("drift", [])
    ]


def _address(row: AddressRow) -> NoticeAddress:
    kinds = tuple(NoticeKind(kind) for kind in row.kinds)
    return NoticeAddress(row.id, row.url, kinds, row.created_at, row.stopped_at)


def _notice(row: Row) -> Notice:
    return Notice(
        row.id,
        row.address_id,
        row.key,
        NoticeKind(row.kind),
        row.at,
        row.facts,
        NoticeState(row.state),
        row.attempts,
        row.next_at,
        row.sent_at,
        row.answer,
    )
