"""A campaign with its leads and variants, written straight through the models, for tests of sending."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from pigeonry.domain import PlannedMessage
from pigeonry.store import campaigns, messages
from pigeonry.store.models import (
    Consent,
    Lead,
    Message,
    MessageAttempt,
    PromptVersion,
    Segment,
    Suppression,
    Variant,
)
from pigeonry.store.session import Database

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)

BRIEF = """
name = "Autumn course"
purpose = "offer"
languages = ["ro", "en"]
link = "https://example.com/curs?ref=a&b=1"

[sender]
name = "Ana Șerban"
email = "salut@scoala.example"
company = "Școala de Seară SRL"
address = "Str. Lungă 5, 500035 Brașov"
company_id = "RO14399840"
register = "J08/123/2019"

[product]
price = 690
currency = "RON"
code = "TOAMNA"

[wording.ro]
product = "Cursul de desen"
benefits = ["lecții scurte", "un mentor atent"]
offer = "20% reducere la prima lună"

[wording.en]
product = "The drawing course"
benefits = ["short lessons", "a mentor who listens"]
offer = "20% off the first month"

[dates]
ends = 2026-12-15
"""


class World:
    """Leads `lead1@example.com` and on, all with consent, one Romanian variant, one campaign."""

    def __init__(
        self, database: Database, *, leads: int, brief: str = BRIEF, at: datetime = START
    ) -> None:
        self.database = database
        with database.write() as session:
            self.campaign_id = campaigns.create(
                session,
                name="Autumn course",
                brief_source=brief,
                occurrence="",
                stage="send_test",
                seed=1,
                channel="file",
                at=at,
            )
            segment = Segment(
                name="Everyone", description="", terms=[], size=leads, embedder="", model_version="",
                centroid=b"", created_at=at,
            )  # fmt: skip
            session.add(segment)
            session.add(
                PromptVersion(version="0" * 16, name="subject/benefit", source="", created_at=at)
            )
            session.flush()
            self.variant_id = self._variant(session, segment.id, at)
            rows = [lead_row(number, at) for number in range(1, leads + 1)]
            session.execute(insert(Lead), rows) if rows else None
            self.lead_ids = list(session.scalars(select(Lead.id).order_by(Lead.id)))
            if rows:
                session.execute(
                    insert(Consent),
                    [consent_row(lead_id, at - timedelta(days=1)) for lead_id in self.lead_ids],
                )

    def _variant(self, session: Any, segment_id: int, at: datetime) -> int:
        variant = Variant(
            campaign_id=self.campaign_id, segment_id=segment_id, language="ro", arm="A",
            prompt="subject/benefit", prompt_version="0" * 16, template="ro/offer/benefit",
            tier="library", model="", cache="none", subject="Cursul de desen te așteaptă",
            preheader="Lecții scurte, în ritmul tău", hook="Desenul se învață pe îndelete",
            body=["Cu Cursul de desen ai la îndemână lecții scurte.", "Începi când vrei."],
            cta="Vezi cursul", cost_micros=0, currency="EUR", predicted_click=None, created_at=at,
        )  # fmt: skip
        session.add(variant)
        session.flush()
        return variant.id

    def plan_rows(self) -> list[PlannedMessage]:
        return [
            PlannedMessage(
                campaign_id=self.campaign_id,
                lead_id=lead_id,
                variant_id=self.variant_id,
                wave=1,
                address_hash=f"{lead_id:064x}",
                channel="file",
            )
            for lead_id in self.lead_ids
        ]

    def plan(self, rows: Sequence[PlannedMessage] | None = None) -> None:
        with self.database.write() as session:
            messages.plan(session, self.plan_rows() if rows is None else rows, START)

    def message_ids(self) -> list[int]:
        with self.database.read() as session:
            return list(session.scalars(select(Message.id).order_by(Message.id)))

    def messages(self) -> list[Message]:
        with self.database.read() as session:
            return list(session.scalars(select(Message).order_by(Message.id)))

    def states(self) -> list[str]:
        return [row.state for row in self.messages()]

    def keys(self) -> list[str]:
        return [row.send_key for row in self.messages()]

    def attempts(self) -> list[MessageAttempt]:
        with self.database.read() as session:
            return list(session.scalars(select(MessageAttempt).order_by(MessageAttempt.id)))

    def set_state(self, position: int, state: str, **values: Any) -> None:
        """`position` counts messages from 1."""
        message_id = self.message_ids()[position - 1]
        with self.database.write() as session:
            session.execute(
                update(Message).where(Message.id == message_id).values(state=state, **values)
            )

    def suppress(self, lead_id: int, reason: str = "unsubscribe") -> None:
        with self.database.write() as session:
            session.add(
                Suppression(address_hash=f"{lead_id:064x}", reason=reason, source="test", at=START)
            )

    def consent(self, lead_id: int, state: str, at: datetime) -> None:
        with self.database.write() as session:
            session.execute(insert(Consent), [{**consent_row(lead_id, at), "state": state}])

    def forget_consent(self, lead_id: int) -> None:
        with self.database.write() as session:
            session.execute(delete(Consent).where(Consent.lead_id == lead_id))

    def change_lead(self, lead_id: int, **values: Any) -> None:
        with self.database.write() as session:
            session.execute(update(Lead).where(Lead.id == lead_id).values(**values))

    def set_campaign(self, state: str) -> None:
        with self.database.write() as session:
            campaigns.update_state(session, self.campaign_id, state=state)


def lead_row(number: int, at: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {
        "email": f"lead{number}@example.com",
        "first_name": "Ioana",
        "last_name": "Pop",
        "company": "",
        "phone": "",
        "language": "ro",
        "country": "RO",
        "city": "",
        "timezone": "",
        "external_id": "",
        "attributes": {},
        "created_at": at,
        "updated_at": at,
    }
    if "address_hash" in Lead.__table__.columns:
        row["address_hash"] = f"{number:064x}"
    return row


def consent_row(lead_id: int, at: datetime) -> dict[str, Any]:
    return {
        "lead_id": lead_id,
        "purpose": "marketing",
        "state": "granted",
        "basis": "express",
        "source": "test",
        "proof": "",
        "at": at,
    }
