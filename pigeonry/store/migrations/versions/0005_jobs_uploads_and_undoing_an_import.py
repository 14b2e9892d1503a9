"""Jobs with progress and a lease, uploaded files, and what an import changed. Columns are added in place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import pigeonry.store.base

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JOB = (
    "subject",
    "says",
    "done",
    "total",
    "asked_by",
    "owner",
    "attempts",
    "lease_until",
    "cancel_asked_at",
)


def upgrade() -> None:
    moment = pigeonry.store.base.UtcDateTime(timezone=True)
    for name, length in (("subject", 80), ("says", 200), ("asked_by", 200), ("owner", 200)):
        op.add_column("job", sa.Column(name, sa.String(length), server_default="", nullable=False))
    for name in ("done", "total"):
        op.add_column(
            "job", sa.Column(name, pigeonry.store.base.BigId, server_default="0", nullable=False)
        )
    op.add_column("job", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("job", sa.Column("lease_until", moment, nullable=True))
    op.add_column("job", sa.Column("cancel_asked_at", moment, nullable=True))
    op.create_index("ix_job_kind_state", "job", ["kind", "state"], unique=False)
    op.create_index("ix_job_subject", "job", ["subject"], unique=False)

    op.add_column("lead", sa.Column("import_run_id", pigeonry.store.base.BigId, nullable=True))
    op.add_column("import_run", sa.Column("undone_at", moment, nullable=True))
    op.create_table(
        "import_change",
        sa.Column("id", pigeonry.store.base.BigId, autoincrement=True, nullable=False),
        sa.Column("import_run_id", pigeonry.store.base.BigId, nullable=False),
        sa.Column("lead_id", pigeonry.store.base.BigId, nullable=False),
        sa.Column("changes", pigeonry.store.base.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["import_run_id"],
            ["import_run.id"],
            name=op.f("fk_import_change_import_run_id_import_run"),
        ),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["lead.id"], name=op.f("fk_import_change_lead_id_lead"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_change")),
    )
    op.create_index("ix_import_change_import_run_id", "import_change", ["import_run_id"])
    op.create_index("ix_import_change_lead_id", "import_change", ["lead_id"])
    op.create_table(
        "upload",
        sa.Column("id", pigeonry.store.base.BigId, autoincrement=True, nullable=False),
        sa.Column("stored", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("size", pigeonry.store.base.BigId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("look", pigeonry.store.base.Json, nullable=False),
        sa.Column("choices", pigeonry.store.base.Json, nullable=False),
        sa.Column("import_run_id", pigeonry.store.base.BigId, nullable=True),
        sa.Column("uploaded_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("gone_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["import_run_id"], ["import_run.id"], name=op.f("fk_upload_import_run_id_import_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        sa.UniqueConstraint("stored", name=op.f("uq_upload_stored")),
    )
    op.create_index("ix_upload_digest", "upload", ["digest"])


def downgrade() -> None:
    op.drop_table("upload")
    op.drop_table("import_change")
    op.drop_column("import_run", "undone_at")
    op.drop_column("lead", "import_run_id")
    op.drop_index("ix_job_subject", table_name="job")
    op.drop_index("ix_job_kind_state", table_name="job")
    for name in _JOB:
        op.drop_column("job", name)
