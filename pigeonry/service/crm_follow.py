"""What follows when a CRM changed a lead: its segment at once, and the campaigns that rules name.

The contact waits in the database until this was done, so that a crash leaves nothing out; doing it twice
plans no second mail.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from pigeonry.config import CrmSettings, Home
from pigeonry.domain.progress import Progress, silent
from pigeonry.service.joining import Joined, join_campaign, with_mail_to_send
from pigeonry.store import crm
from pigeonry.store.crm import Contact
from pigeonry.store.session import Database

_BATCH = 200


@dataclass(slots=True)
class FollowReport:
    """`leads` were looked at, `placed` have a segment now; `joined` counts what became of them in the
    campaigns of rules. `to_send` are campaigns with mail that nobody sends yet."""

    leads: int = 0
    placed: int = 0
    joined: Counter[Joined] = field(default_factory=Counter)
    to_send: list[int] = field(default_factory=list)


def follow_crm(
    db: Database, home: Home, *, now: datetime, progress: Progress = silent
) -> FollowReport:
    """Place and start for every contact that waits. Safe to run twice, and beside another."""
    from pigeonry.service.placing import place_leads

    report = FollowReport()
    while True:
        with db.read() as session:
            waiting = crm.waiting(session, limit=_BATCH)
        if not waiting:
            break
        ids = sorted({contact.lead_id for contact in waiting if contact.lead_id is not None})
        segments = place_leads(db, home, ids, now=now)
        for contact in waiting:
            _start(db, home, contact, segments, now, report)
        with db.write() as session:
            crm.followed(session, waiting)
        report.leads += len(ids)
        report.placed += len(segments)
        progress("leads of CRMs", report.leads)
    report.to_send = with_mail_to_send(db, _campaigns(home))
    return report


def _start(
    db: Database,
    home: Home,
    contact: Contact,
    segments: dict[int, int],
    now: datetime,
    report: FollowReport,
) -> None:
    settings = home.settings.crm.get(contact.source)
    lead_id = contact.lead_id
    if settings is None or lead_id is None:
        return
    for name in _named(settings, segments.get(lead_id)):
        report.joined[join_campaign(db, home, name, lead_id, now=now).outcome] += 1


def _named(settings: CrmSettings, segment: int | None) -> list[str]:
    return [rule.campaign for rule in settings.rules if rule.segment in (0, segment)]


def _campaigns(home: Home) -> set[str]:
    return {rule.campaign for crm in home.settings.crm.values() for rule in crm.rules}
