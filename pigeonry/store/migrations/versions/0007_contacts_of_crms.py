"""Contacts of CRMs, what of their news was not taken, and which news was looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import pigeonry.store.base

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = pigeonry.store.base.UtcDateTime(timezone=True)
    number = pigeonry.store.base.BigId
    op.create_table(
        "crm_contact",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("external_hash", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("lead_id", number, nullable=True),
        sa.Column("stamps", pigeonry.store.base.Json, nullable=False),
        sa.Column("deleted", number, nullable=False),
        sa.Column("restored", number, nullable=False),
        sa.Column("merged_into", sa.String(length=64), nullable=False),
        sa.Column("waiting_since", moment, nullable=True),
        sa.Column("updated_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["lead.id"], name=op.f("fk_crm_contact_lead_id_lead"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crm_contact")),
        sa.UniqueConstraint(
            "source", "external_hash", name=op.f("uq_crm_contact_source_external_hash")
        ),
    )
    op.create_index("ix_crm_contact_lead_id", "crm_contact", ["lead_id"])
    op.create_index("ix_crm_contact_waiting_since", "crm_contact", ["waiting_since"])
    op.create_table(
        "crm_refusal",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("raw_event_id", number, nullable=True),
        sa.Column("external_hash", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("lead_id", number, nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["lead.id"], name=op.f("fk_crm_refusal_lead_id_lead"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crm_refusal")),
    )
    op.create_index("ix_crm_refusal_lead_id", "crm_refusal", ["lead_id"])
    op.create_table(
        "crm_seen",
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("event_hash", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("source", "event_hash", name=op.f("pk_crm_seen")),
    )
    op.create_index("ix_crm_seen_at", "crm_seen", ["at"])


def downgrade() -> None:
    for name in ("crm_seen", "crm_refusal", "crm_contact"):
        op.drop_table(name)
