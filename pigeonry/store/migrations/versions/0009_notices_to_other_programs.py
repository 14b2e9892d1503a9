"""Notices to other programs: where they go, and what became of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pigeonry.store.base import BigId, Json, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = UtcDateTime(timezone=True)
    op.create_table(
        "notice_address",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", Json, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("stopped_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_address")),
    )
    op.create_table(
        "notice",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("address_id", BigId, nullable=False),
        sa.Column("key", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", moment, nullable=False),
        sa.Column("sent_at", moment, nullable=True),
        sa.Column("answer", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"],
            ["notice_address.id"],
            name=op.f("fk_notice_address_id_notice_address"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("address_id", "key", name=op.f("uq_notice_address_id_key")),
    )
    op.create_index("ix_notice_state_next_at", "notice", ["state", "next_at"])


def downgrade() -> None:
    op.drop_index("ix_notice_state_next_at", "notice")
    op.drop_table("notice")
    op.drop_table("notice_address")
