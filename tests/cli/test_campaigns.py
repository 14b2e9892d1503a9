"""`pigeonry campaign` before anything is sent: what the studio does in the browser, from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pigeonry.cli import main
from pigeonry.config import Home
from pigeonry.store.session import Database
from tests.service.studio import add_leads, small_home, written

BRIEF = "examples/briefs/course-provider.toml"


def run(
    capsys: pytest.CaptureFixture[str], home: Home, *arguments: str
) -> tuple[int, dict[str, Any], str]:
    with pytest.raises(SystemExit) as ended:
        main(["campaign", *arguments, "--home", str(home.path), "--json"])
    out, err = capsys.readouterr()
    lines = out.strip().splitlines()
    return int(ended.value.code or 0), json.loads(lines[-1]) if lines else {}, err


def test_a_campaign_is_forecast_edited_as_checks_allow_and_sent_back(
    capsys: pytest.CaptureFixture[str], home: Home, database: Database, tmp_path: Path
) -> None:
    small = small_home(home)
    add_leads(database, small, tmp_path, 12)
    code, data, _ = run(capsys, small, "forecast", BRIEF)
    assert code == 0
    assert (data["leads"], data["mailable"], data["cost_upper"]) == (12, 12, 0)
    assert data["held_out"] + data["test"] + data["rest"] == 12

    number = str(written(database, small))
    code, data, err = run(capsys, small, "edit", "1", "--subject", "Prisma Business: 70% reducere")
    assert code == 3
    assert "claim" in err
    assert run(capsys, small, "edit", "1")[0] == 2
    preheader = "Prisma Business, pentru serile tale de curs"
    code, data, _ = run(capsys, small, "edit", "1", "--preheader", preheader)
    assert (code, data["tier"], data["changed"]) == (0, "person", True)
    assert run(capsys, small, "approve", number)[0] == 0
    assert run(capsys, small, "edit", "1", "--cta", "Vezi")[0] == 3  # approved as it was
    assert run(capsys, small, "send-back", number, "--reason", "warmer")[0] == 0
    assert run(capsys, small, "show", number)[1]["planned"] == 0
