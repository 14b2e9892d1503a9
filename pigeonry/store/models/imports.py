"""Files that came in by upload, and what an import changed, so that it can be taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, BigId, Json, UtcDateTime, code, key, label, moment


class Upload(Base):
    """A file that somebody uploaded, under a random name in the home until it is imported or too old."""

    __tablename__ = "upload"
    __table_args__ = (Index("ix_upload_digest", "digest"),)

    id: Mapped[key]
    stored: Mapped[str] = mapped_column(String(64), unique=True)
    file_name: Mapped[label]
    size: Mapped[int] = mapped_column(BigId)
    digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[code]
    # What was recognised: encoding, how sure, delimiter.
    look: Mapped[dict[str, Any]] = mapped_column(Json)
    # What a person decided: columns, encoding, delimiter, consent.
    choices: Mapped[dict[str, Any]] = mapped_column(Json)
    import_run_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id"))
    uploaded_by: Mapped[label]
    created_at: Mapped[moment]
    gone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ImportChange(Base):
    """What an import changed of a lead that was there before: field -> [before, after]; an attribute's
    name begins with "+". Leads that it created carry its number themselves (`lead.import_run_id`)."""

    __tablename__ = "import_change"
    __table_args__ = (
        Index("ix_import_change_import_run_id", "import_run_id"),
        Index("ix_import_change_lead_id", "lead_id"),
    )

    id: Mapped[key]
    import_run_id: Mapped[int] = mapped_column(ForeignKey("import_run.id"))
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    changes: Mapped[dict[str, Any]] = mapped_column(Json)
