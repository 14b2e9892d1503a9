"""Summaries that pages read instead of many rows, and an index of the few events that are of consequence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import pigeonry.store.base

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_RARE = sa.text("kind IN ('bounce', 'complaint', 'conversion', 'unsubscribe')")


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.create_table(
        "summary",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("made_from", json, nullable=False),
        sa.Column("facts", json, nullable=False),
        sa.Column("at", pigeonry.store.base.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_summary")),
    )
    op.create_index(
        "ix_event_rare", "event", ["kind", "at"], sqlite_where=_RARE, postgresql_where=_RARE
    )


def downgrade() -> None:
    op.drop_index("ix_event_rare", table_name="event")
    op.drop_table("summary")
