"""An index by channel and moment of hand-over: silence is judged by what left just before and after."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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


def downgrade() -> None:
    op.drop_index("ix_message_channel_handover_at", table_name="message")
