"""The exception for existing customers is none without its evidence."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from audience.evidence import NEEDED, parts, proof

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
WHOLE = "bought=drawing course; on=2026-03-01; similar=other courses; opt-out=yes"


def test_all_four_parts_make_a_proof() -> None:
    found, missing = proof(parts(WHOLE), NOW)
    assert missing == ""
    assert set(json.loads(found)) == set(NEEDED)


@pytest.mark.parametrize("name", list(NEEDED))
def test_each_part_is_needed(name: str) -> None:
    given = {key: value for key, value in parts(WHOLE).items() if key != name}
    found, missing = proof(given, NOW)
    assert found == ""
    assert NEEDED[name] in missing


@pytest.mark.parametrize(
    ("part", "value"),
    [("on", "31.02.2026"), ("on", "2030-01-01"), ("on", "spring"), ("opt-out", "no"), ("opt-out", "maybe")],
)  # fmt: skip
def test_an_impossible_day_or_no_way_out_is_no_evidence(part: str, value: str) -> None:
    found, missing = proof({**parts(WHOLE), part: value}, NOW)
    assert found == ""
    assert missing


def test_it_may_be_written_in_romanian() -> None:
    given = parts("cumpărat=curs; la=1.03.2026; produse similare=cursuri; dezabonare=oferită; x=y")
    assert proof(given, NOW)[1] == ""
