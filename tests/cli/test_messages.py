"""`pigeonry messages` from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pigeonry.cli import main
from pigeonry.config import Home
from pigeonry.store.session import Database
from tests.delivery.world import START, World


def run(
    capsys: pytest.CaptureFixture[str], home: Home, *arguments: str
) -> tuple[int, dict[str, Any], str]:
    with pytest.raises(SystemExit) as ended:
        main(["messages", *arguments, "--home", str(home.path), "--json"])
    out, err = capsys.readouterr()
    lines = out.strip().splitlines()
    return int(ended.value.code or 0), json.loads(lines[-1]) if lines else {}, err


@pytest.fixture
def world(database: Database) -> World:
    found = World(database, leads=2)
    found.plan()
    found.set_state(1, "parked", handover_at=START, channel="smtp", reason="cut")
    return found


def test_parked_messages_are_listed_with_their_key_and_address(
    capsys: pytest.CaptureFixture[str], home: Home, world: World
) -> None:
    code, data, err = run(capsys, home, "parked")
    assert code == 0
    (row,) = data["parked"]
    assert (row["email"], row["state"]) == ("lead1@example.com", "parked")
    assert row["send_key"] == world.keys()[0]
    assert "lead1@example.com" in err


def test_a_parked_message_is_resolved_once(
    capsys: pytest.CaptureFixture[str], home: Home, world: World
) -> None:
    message = str(world.message_ids()[0])
    assert run(capsys, home, "resolve", message)[0] == 2
    assert run(capsys, home, "resolve", message, "--not-sent")[1]["state"] == "planned"
    code, data, err = run(capsys, home, "resolve", message, "--sent")
    assert (code, data["error"]) == (3, "refused")
    assert "planned" in err


def test_with_nothing_parked_it_says_so(
    capsys: pytest.CaptureFixture[str], home: Home, database: Database
) -> None:
    code, data, err = run(capsys, home, "parked")
    assert (code, data["parked"]) == (0, [])
    assert "nothing is parked" in err
