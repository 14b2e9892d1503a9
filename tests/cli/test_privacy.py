"""`pigeonry privacy`, `pigeonry consent` and the readable export, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pigeonry.cli import cli
from pigeonry.cli.common import Output


def call(home: Path, *arguments: str, code: int = 0) -> dict:
    done = CliRunner().invoke(
        cli, [*arguments, "--home", str(home), "--json"], obj=Output(), standalone_mode=False
    )
    assert done.exception is None, done.output
    assert (done.return_value or 0) == code
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def lead(tmp_path: Path) -> Path:
    """A home with one lead, imported with a consent text."""
    home, words, file = tmp_path / "h", tmp_path / "acord.txt", tmp_path / "list.csv"
    words.write_text("Sunt de acord să primesc noutăți.\n", encoding="utf-8")
    file.write_text("email,prenume\nana@exemplu.ro,<b>Ana</b>\n", encoding="utf-8")
    call(home, "consent", "text", "add", str(words), "--language", "ro")
    call(home, "leads", "import", str(file), "--consent", "express:form")
    return home


def test_a_consent_text_has_a_version_by_its_words(tmp_path: Path) -> None:
    home, words = tmp_path / "h", tmp_path / "acord.txt"
    words.write_text("Sunt de acord.\n", encoding="utf-8")
    first = call(home, "consent", "text", "add", str(words), "--language", "ro")
    words.write_text("  Sunt de acord.", encoding="utf-8")
    again = call(home, "consent", "text", "add", str(words), "--language", "ro")
    assert first["version"] == again["version"]
    (found,) = call(home, "consent", "text", "list")["texts"]
    assert (found["version"], found["text"]) == (first["version"], "Sunt de acord.")


def test_the_readable_export_speaks_the_persons_language_and_runs_no_markup(lead: Path) -> None:
    page = lead / "ana.html"
    call(lead, "leads", "export", "ana@exemplu.ro", "--html", str(page))
    html = page.read_text(encoding="utf-8")
    assert '<html lang="ro">' in html
    assert "Datele dumneavoastră" in html
    assert "acord prealabil expres" in html
    assert "&lt;b&gt;Ana&lt;/b&gt;" in html
    assert "<b>Ana" not in html


def test_the_record_says_what_is_missing_and_writes_a_page(lead: Path) -> None:
    found = call(lead, "privacy", "record", "--html", str(lead / "record.html"))["record"]
    assert len(found["missing"]) == 2
    assert {"table": "lead", "rows": 1}.items() <= found["categories"][0].items()
    assert found["retention"]["events"] == "396 days"
    assert "Record of processing" in (lead / "record.html").read_text(encoding="utf-8")


def test_what_leaves_is_printed_without_a_database(tmp_path: Path) -> None:
    found = call(tmp_path / "nowhere", "privacy", "leaves", "--html", str(tmp_path / "l.html"))
    assert found["doors"][0]["name"] == "mails (file)"
    assert not (tmp_path / "nowhere").exists()
    assert "What leaves this machine" in (tmp_path / "l.html").read_text(encoding="utf-8")


def test_retention_and_confirmation_mails_run_from_the_command_line(lead: Path) -> None:
    assert call(lead, "privacy", "retain", "--dry-run")["dry_run"] is True
    assert sum(call(lead, "privacy", "retain")["gone"].values()) == 0
    assert call(lead, "privacy", "opt-ins") == {
        "sent": 0, "failed": 0, "unknown": 0, "waiting": 0, "trouble": "",
    }  # fmt: skip


def test_an_erasure_says_what_went_and_what_is_the_marketers_own(lead: Path) -> None:
    (lead / "mine.csv").write_text("ana@exemplu.ro\n")
    found = call(lead, "leads", "erase", "ana@exemplu.ro")
    assert found["erased"] is True
    assert found["rows"] == {"consent": 1, "lead": 1}
    assert found["left"] == ["mine.csv"]
    assert found["notes"] == []
