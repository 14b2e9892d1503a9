"""Queries about the links that stand in mails: a click names one by number and finds its address here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from pigeonry.store.models import MailLink, Message
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class FollowedLink:
    """Where a link leads."""

    url: str
    hidden: bool


def ensure(session: Session, campaign_id: int, url: str, *, hidden: bool = False) -> int:
    """The number of a campaign's link; the same link keeps its number. A hidden twin has its own."""
    digest = hashlib.sha256(f"{'hidden ' if hidden else ''}{url}".encode()).hexdigest()
    known = select(MailLink.id).where(
        MailLink.campaign_id == campaign_id, MailLink.url_hash == digest
    )
    found = session.scalar(known)
    if found is not None:
        return found
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    session.execute(
        insert(MailLink)
        .values(campaign_id=campaign_id, url=url, url_hash=digest, hidden=hidden)
        .on_conflict_do_nothing()
    )
    return session.scalars(known).one()


def followed(session: Session, link_id: int, send_key: str) -> FollowedLink | None:
    """The link as it stands in that message's campaign; None when it is no link of that campaign."""
    row = session.execute(
        select(MailLink.url, MailLink.hidden)
        .join(Message, Message.campaign_id == MailLink.campaign_id)
        .where(MailLink.id == link_id, Message.send_key == send_key)
    ).first()
    return None if row is None else FollowedLink(*row)


def stored(session: Session, send_key: str) -> bool:
    """Whether a message of that key is (still) stored."""
    return session.scalar(select(Message.id).where(Message.send_key == send_key)) is not None
