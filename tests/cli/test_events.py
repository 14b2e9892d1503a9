"""What comes back is taken in from files and from a mailbox, and said in one JSON line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pigeonry.cli import main
from pigeonry.config import Home
from tests.feedback.answers import bounce, mail

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], home: Home) -> Run:
    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["events", *arguments, "--home", str(home.path), "--json"])
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out.splitlines()[-1])

    return call


def test_a_mail_file_is_taken_in_and_again_only_seen(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "reply.eml"
    file.write_bytes(mail("dezabonare", key=""))
    code, said = run("ingest", str(file), "--source", "inbound")
    assert (code, said["applied"], said["suppressed"], said["unmatched"]) == (0, 1, 1, 1)
    file.write_bytes(mail("dezabonare", key=""))
    code, said = run("ingest", str(file), "--source", "inbound")
    assert (code, said["applied"], said["duplicate"]) == (0, 0, 1)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_conversions_come_as_a_table_or_as_json(run: Run, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"c.{kind}"
    if kind == "csv":
        file.write_text(
            "email,at,value,currency\na@example.ro,2026-03-01,5,RON\nb,2026-03-01,5,RON\n"
        )
    else:
        row = {"at": "2026-03-01", "value": 5, "currency": "RON"}
        file.write_text(json.dumps([{**row, "email": "a@example.ro"}, {**row, "email": "b"}]))
    code, said = run("ingest", str(file), "--source", "conversions")
    assert (code, said["applied"], said["rejected"]) == (1, 1, 1)
    assert said["errors"][0]["position"] == (3 if kind == "csv" else 1)


def test_a_delivery_report_in_a_file_stops_mail_to_that_address(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bounce.eml"
    file.write_bytes(bounce("failed", "5.1.1"))
    assert run("ingest", str(file), "--source", "inbound")[1]["suppressed"] == 1


def test_polling_without_a_mailbox_says_what_to_set(run: Run) -> None:
    code, said = run("poll")
    assert code == 2
    assert said["where"] == "inbound.imap_host"
