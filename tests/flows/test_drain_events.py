"""The flow asks the provider once a day, and understands what waits each time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from pigeonry.store.models import Suppression
from pigeonry.store.session import Database
from tests.delivery.sinks import api_sink
from tests.delivery.world import START


def test_the_providers_lists_are_read_once_a_day(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.drain_events import drain_events

    home = str(tmp_path / "home")

    def lists(path: str, _query: dict[str, str]) -> list[dict[str, object]]:
        row = {"email": "lead1@example.com", "created": int(START.timestamp()) - 60}
        return [row] if path.endswith("/unsubscribes") else []

    with api_sink(lists=lists) as sink:
        monkeypatch.setenv("PIGEONRY_SENDING__CHANNEL", "sendgrid")
        monkeypatch.setenv("PIGEONRY_SENDGRID__HOST", sink.host)
        monkeypatch.setenv("PIGEONRY_SENDGRID_KEY", "SG.key")
        for hours, asked in ((0, 5), (1, 5), (25, 10)):
            drain_events(home, (START + timedelta(hours=hours)).isoformat())
            assert len(sink.paths) == asked
    with database.read() as session:
        assert session.scalars(select(Suppression.reason)).all() == ["unsubscribe"]
