"""A small world for what comes after sending: two segments, two languages, two prompts, leads with consent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from pigeonry.config import Home
from pigeonry.domain.address import address_hash
from pigeonry.store import campaigns
from pigeonry.store.campaigns import ArmPlan
from pigeonry.store.models import (
    Assignment,
    Consent,
    Lead,
    Message,
    PromptVersion,
    Segment,
    Variant,
)
from pigeonry.store.session import Database

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36"
PROMPTS = {"A": ("subject/benefit", "a" * 16), "B": ("subject/question", "b" * 16)}
BRIEF = """
name = "{name}"
purpose = "news"
languages = ["ro", "en"]
link = "https://shop.example/news"
[sender]
name = "Shop"
email = "hello@shop.example"
company = "Shop SRL"
company_id = "RO99206145"
register = "J12/99999/2021"
address = "Main street 1"
[wording.ro]
product = "Felinar"
benefits = ["o seară mai caldă"]
[wording.en]
product = "Tealight"
benefits = ["a warmer evening"]
[experiment]
variants = 2
holdout = 0.1
test_share = 0.3
"""


class World:
    """Segments 1 and 2; leads by turns in both, one in three English."""

    def __init__(self, db: Database, home: Home, *, leads: int) -> None:
        self.db, self.home = db, home
        key = home.secret("suppression.key")
        with db.write() as session:
            for name in ("Teachers", "Shops"):
                session.add(
                    Segment(
                        name=name,
                        description="",
                        terms=[],
                        size=leads // 2,
                        embedder="",
                        model_version="",
                        centroid=b"",
                        created_at=NOON,
                    )
                )
            for name, version in PROMPTS.values():
                session.add(PromptVersion(version=version, name=name, source="", created_at=NOON))
            session.flush()
            self.segments = list(session.scalars(select(Segment.id).order_by(Segment.id)))
            rows = []
            for number in range(1, leads + 1):
                email = f"lead{number}@mail.example.org"
                rows.append(
                    {
                        "email": email,
                        "address_hash": address_hash(email, key),
                        "first_name": "",
                        "last_name": "",
                        "company": "",
                        "phone": "",
                        "country": "RO",
                        "city": "",
                        "language": "en" if number % 3 == 0 else "ro",
                        "timezone": "",
                        "external_id": "",
                        "attributes": {},
                        "content_hash": None,
                        "segment_id": self.segments[number % 2],
                        "created_at": NOON,
                        "updated_at": NOON,
                    }
                )
            if rows:
                session.execute(insert(Lead), rows)
            self.lead_ids = list(session.scalars(select(Lead.id).order_by(Lead.id)))
            if rows:
                session.execute(
                    insert(Consent),
                    [
                        {
                            "lead_id": lead_id,
                            "purpose": "marketing",
                            "state": "granted",
                            "basis": "express",
                            "source": "test",
                            "proof": "",
                            "at": NOON - timedelta(days=9),
                        }
                        for lead_id in self.lead_ids
                    ],
                )

    def campaign(
        self, name: str = "News", *, seed: int = 11, arms: bool = True, at: datetime = NOON
    ) -> int:
        """A campaign with its arms and a variant for each segment, language and arm."""
        with self.db.write() as session:
            number = campaigns.create(
                session,
                name=name,
                brief_source=BRIEF.format(name=name),
                occurrence="",
                stage="assign_test",
                seed=seed,
                channel="file",
                at=at,
            )
            if arms:
                campaigns.set_arms(
                    session, number, {a: ArmPlan(*p, 1.0) for a, p in PROMPTS.items()}, at
                )
                self.variants(session, number, PROMPTS, at)
        return number

    def variants(self, session: Any, campaign_id: int, arms: Any, at: datetime = NOON) -> None:
        for segment_id in self.segments:
            for language in ("ro", "en"):
                for arm, (prompt, version) in arms.items():
                    session.add(
                        Variant(
                            campaign_id=campaign_id,
                            segment_id=segment_id,
                            language=language,
                            arm=arm,
                            prompt=prompt,
                            prompt_version=version,
                            template="",
                            tier="library",
                            model="",
                            cache="none",
                            subject="Ești gata?" if arm == "B" else "Felinar e aici",
                            preheader="p",
                            hook="h",
                            body=["b"],
                            cta="c",
                            cost_micros=0,
                            currency="EUR",
                            predicted_click=None,
                            created_at=at,
                        )
                    )

    def sent(
        self,
        campaign_id: int,
        *,
        arm_of: Callable[[int], str] | None = None,
        leads: Sequence[int] | None = None,
        state: str = "accepted",
        at: datetime = NOON,
        propensity: float = 0.5,
        wave: int = 1,
    ) -> list[str]:
        """Assign and send to leads, by turns to both arms; the send keys in their order."""
        keys = []
        with self.db.write() as session:
            variants = {
                (v.segment_id, v.language, v.arm): v.id
                for v in session.scalars(select(Variant).where(Variant.campaign_id == campaign_id))
            }
            for lead in session.scalars(
                select(Lead).where(Lead.id.in_(leads or self.lead_ids)).order_by(Lead.id)
            ):
                arm = arm_of(lead.id) if arm_of else "AB"[lead.id // 2 % 2]
                key = f"{campaign_id * 1_000_000 + lead.id:032x}"
                session.add(
                    Assignment(
                        campaign_id=campaign_id,
                        lead_id=lead.id,
                        segment_id=lead.segment_id,
                        arm=arm,
                        propensity=propensity,
                        wave=wave,
                        seed=1,
                        at=at,
                    )
                )
                session.add(
                    Message(
                        campaign_id=campaign_id,
                        lead_id=lead.id,
                        variant_id=variants[lead.segment_id, lead.language, arm],
                        step=1,
                        occurrence="",
                        wave=wave,
                        send_key=key,
                        address_hash=lead.address_hash,
                        channel="file",
                        state=state,
                        reason="",
                        attempts=1,
                        owner="",
                        epoch=1,
                        accepted_at=at if state == "accepted" else None,
                        provider_id=f"p{key}",
                        status="",
                        planned_at=at,
                        handover_at=at,
                    )
                )
                keys.append(key)
        return keys

    def accept_planned(self, campaign_id: int, at: datetime = NOON) -> None:
        """As if every planned message had been handed over at that moment."""
        with self.db.write() as session:
            session.execute(
                update(Message)
                .where(Message.campaign_id == campaign_id, Message.state == "planned")
                .values(state="accepted", accepted_at=at, handover_at=at)
            )


def sendgrid(event: str, key: str = "", *, at: datetime = NOON, **more: Any) -> dict[str, Any]:
    raw = {"event": event, "timestamp": int(at.timestamp()), "useragent": BROWSER, **more}
    raw.setdefault("sg_event_id", f"{event}-{key}-{int(at.timestamp())}-{more.get('url', '')}")
    return {**raw, "send_key": key} if key else raw


def clicks(keys: Sequence[str], at: datetime = NOON + timedelta(hours=3)) -> bytes:
    return json.dumps(
        [sendgrid("click", key, at=at, url="https://shop.example/news") for key in keys]
    ).encode()
