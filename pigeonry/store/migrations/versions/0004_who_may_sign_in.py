"""Who may sign in, with what, from where; and an audit trail that cannot be changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pigeonry.store.base import BigId, Json, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_REFUSED = "the audit trail is never changed"


def upgrade() -> None:
    moment = UtcDateTime(timezone=True)
    op.add_column("operator", sa.Column("name", sa.String(200), server_default="", nullable=False))
    op.add_column("operator", sa.Column("signed_in_at", moment, nullable=True))
    op.add_column("operator", sa.Column("totp", sa.LargeBinary(), nullable=True))
    op.add_column("operator", sa.Column("totp_step", BigId, server_default="0", nullable=False))
    op.add_column("operator", sa.Column("recovery", Json, server_default="[]", nullable=False))

    op.add_column(
        "api_token", sa.Column("prefix", sa.String(16), server_default="", nullable=False)
    )
    op.add_column("api_token", sa.Column("last_used_at", moment, nullable=True))
    op.create_index("ix_api_token_prefix", "api_token", ["prefix"], unique=True)

    op.create_table(
        "sign_in",
        sa.Column("id_hash", sa.String(64), nullable=False),
        sa.Column("operator_id", BigId, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("network", sa.String(45), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.id"],
            name=op.f("fk_sign_in_operator_id_operator"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_sign_in")),
    )
    op.create_index("ix_sign_in_operator_id", "sign_in", ["operator_id"])
    op.create_table(
        "setup_link",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("operator_id", BigId, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.id"],
            name=op.f("fk_setup_link_operator_id_operator"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_setup_link")),
    )
    op.create_table(
        "throttle",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle")),
    )
    op.create_table(
        "api_answer",
        sa.Column("api_token_id", BigId, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("made", sa.String(200), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["api_token_id"],
            ["api_token.id"],
            name=op.f("fk_api_answer_api_token_id_api_token"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("api_token_id", "key", name=op.f("pk_api_answer")),
    )

    op.create_index("ix_audit_previous_hash", "audit", ["previous_hash"], unique=True)
    if op.get_context().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{what.lower()} BEFORE {what} ON audit "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_no_update")
        op.execute("DROP TRIGGER audit_no_delete")
    else:
        op.execute("DROP TRIGGER audit_no_change ON audit")
        op.execute("DROP FUNCTION audit_refuse()")
    op.drop_index("ix_audit_previous_hash", "audit")
    op.drop_table("api_answer")
    op.drop_table("throttle")
    op.drop_table("setup_link")
    op.drop_index("ix_sign_in_operator_id", "sign_in")
    op.drop_table("sign_in")
    op.drop_index("ix_api_token_prefix", "api_token")
    op.drop_column("api_token", "last_used_at")
    op.drop_column("api_token", "prefix")
    for column in ("recovery", "totp_step", "totp", "signed_in_at", "name"):
        op.drop_column("operator", column)
