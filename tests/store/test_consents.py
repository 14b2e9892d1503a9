"""Suppression keeps the strongest reason, whatever arrives in which order."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from pigeonry.domain import SuppressionReason
from pigeonry.store import consents
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "order",
    list(
        itertools.permutations(
            [SuppressionReason.DO_NOT_MAIL, SuppressionReason.ERASURE, SuppressionReason.BOUNCE]
        )
    ),
)
def test_the_strongest_reason_is_kept(
    any_database: Database, order: tuple[SuppressionReason, ...]
) -> None:
    for reason in order:
        with any_database.write() as session:
            consents.suppress(session, "a" * 64, reason=reason, source=reason.value, at=NOW)
    with any_database.read() as session:
        row = consents.suppression(session, "a" * 64)
        assert row is not None
        assert row.reason is SuppressionReason.ERASURE
        assert row.source == "erasure"


def test_in_bulk_the_rule_is_the_same(database: Database) -> None:
    rows = [
        consents.SuppressionRow("b" * 64, reason, "bulk", NOW)
        for reason in (SuppressionReason.COMPLAINT, SuppressionReason.DO_NOT_MAIL)
    ]
    with database.write() as session:
        consents.suppress_many(session, rows)
        assert consents.suppressed(session, ["b" * 64, "c" * 64]) == {"b" * 64}
        assert consents.reasons(session, ["b" * 64])["b" * 64] is SuppressionReason.COMPLAINT
