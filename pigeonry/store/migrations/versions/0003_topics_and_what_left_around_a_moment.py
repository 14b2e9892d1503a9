"""Topics that leads decline, where the fence can see them; and an index by channel and moment of hand-over:
silence is judged by what left just before and after."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

import pigeonry.store.base

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LEFT = sa.text("handover_at IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_message_channel_handover_at",
        "message",
        ["channel", "handover_at"],
        sqlite_where=_LEFT,
        postgresql_where=_LEFT,
    )
    op.add_column(
        "campaign", sa.Column("topic", sa.String(length=80), server_default="", nullable=False)
    )
    declined = op.create_table(
        "declined_topic",
        sa.Column("lead_id", pigeonry.store.base.BigId, nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["lead_id"],
            ["lead.id"],
            name=op.f("fk_declined_topic_lead_id_lead"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("lead_id", "topic", name=op.f("pk_declined_topic")),
    )
    for lead_id, topics in (
        op.get_bind().execute(sa.text("SELECT lead_id, topics FROM preference")).all()
    ):
        chosen = json.loads(topics) if isinstance(topics, str) else topics
        rows = [
            {"lead_id": lead_id, "topic": name} for name, wanted in chosen.items() if not wanted
        ]
        op.bulk_insert(declined, rows)
    op.drop_column("preference", "topics")


def downgrade() -> None:
    op.add_column(
        "preference",
        sa.Column("topics", pigeonry.store.base.Json, server_default="{}", nullable=False),
    )
    op.drop_table("declined_topic")
    op.drop_column("campaign", "topic")
    op.drop_index("ix_message_channel_handover_at", table_name="message")
