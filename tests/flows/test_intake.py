"""The intake flow: news of CRMs becomes leads with a segment, and runs hold counts alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pigeonry.config import Home, load_home
from pigeonry.service.crm import source_name
from pigeonry.store import leads, raw_events
from pigeonry.store.session import Database
from tests import crm_bodies as bodies


def test_news_of_a_crm_finds_its_lead_a_segment(
    home: Home, database: Database, leads_file: Path, quiet_models: None
) -> None:
    from flows.intake import intake

    (home.path / "pigeonry.toml").write_text(
        '[crm.shop]\nkind = "generic"\n[crm.shop.fields]\n"lead.Job" = "attribute"\n'
    )
    home = load_home(home.path, env={})
    intake(str(leads_file), consent="express:test", home=str(home.path))
    told = bodies.generic("c1", email="new@exemplu.ro", Job="designer")
    with database.write() as session:
        raw_events.add(
            session, source=source_name("shop"), body=bodies.body(told), headers={},
            at=datetime(2026, 11, 24, 10, tzinfo=UTC),
        )  # fmt: skip

    counts = intake(home=str(home.path), crm=1)

    assert counts["created"] == 1
    with database.read() as session:
        lead = leads.by_email(session, "new@exemplu.ro")
        assert lead is not None
        assert lead.segment_id is not None
    assert intake(home=str(home.path), crm=1)["created"] == 0


def test_without_a_file_and_without_news_it_says_what_is_missing(home: Home) -> None:
    from flows.intake import intake

    with pytest.raises(Exception, match="no such file"):
        intake(home=str(home.path))
