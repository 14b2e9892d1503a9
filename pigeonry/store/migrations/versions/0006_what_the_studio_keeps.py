"""Briefs that are being written, and what people did to a campaign."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import pigeonry.store.base

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "brief_draft",
        sa.Column("id", pigeonry.store.base.BigId, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("campaign_id", pigeonry.store.base.BigId, nullable=True),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", pigeonry.store.base.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", pigeonry.store.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_brief_draft_campaign_id_campaign")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brief_draft")),
    )
    op.create_index("ix_brief_draft_campaign_id", "brief_draft", ["campaign_id"])
    op.create_table(
        "campaign_act",
        sa.Column("id", pigeonry.store.base.BigId, autoincrement=True, nullable=False),
        sa.Column("campaign_id", pigeonry.store.base.BigId, nullable=False),
        sa.Column("variant_id", pigeonry.store.base.BigId, nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", pigeonry.store.base.Json, nullable=False),
        sa.Column("at", pigeonry.store.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_campaign_act_campaign_id_campaign")
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["variant.id"], name=op.f("fk_campaign_act_variant_id_variant")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_act")),
    )
    op.create_index("ix_campaign_act_campaign_id", "campaign_act", ["campaign_id"])


def downgrade() -> None:
    op.drop_table("campaign_act")
    op.drop_table("brief_draft")
