"""`pigeonry leads` from outside: JSON keys, exit codes, and errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pigeonry.cli import main

FILE = "Email,Prenume,Do Not Email\nana@example.com,Ana,No\nion@example.com,Ion,Yes\nbad@,X,No\n"


class Ran:
    """A command's exit code, its JSON line and what it said to people."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out.strip().splitlines()[-1])


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *arguments])
        found = capsys.readouterr()
        return Ran(int(caught.value.code or 0), found.out, found.err)

    return call


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "leads.csv"
    path.write_text(FILE, encoding="utf-8")
    return str(path)


def test_an_import_ends_with_one_json_line_with_the_keys_others_rely_on(
    run: Any, file: str
) -> None:
    found = run("leads", "import", file, "--consent", "express:form", "--json")
    assert found.code == 1
    assert len(found.out.strip().splitlines()) == 1
    result = found.json
    keys = "rows created updated unchanged rejected suppressed encoding delimiter mapping errors errors_file"
    assert set(keys.split()) <= set(result)
    assert (result["rows"], result["created"], result["rejected"], result["suppressed"]) == (
        3,
        2,
        1,
        1,
    )
    assert result["delimiter"] == ","
    assert result["mapping"] == {
        "Email": "email",
        "Prenume": "first_name",
        "Do Not Email": "do_not_mail",
    }
    (error,) = result["errors"]
    assert {"row": 4, "column": "Email", "value": "bad@"}.items() <= error.items()
    assert error["reason"]
    assert Path(result["errors_file"]).is_file()


def test_a_file_without_faults_ends_with_zero(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "good.csv"
    path.write_text("email\na@example.com\n")
    found = run("leads", "import", str(path))
    assert found.code == 0
    assert "none may be mailed" in found.out


def test_a_dry_run_says_what_would_change(run: Any, file: str) -> None:
    found = run("leads", "import", file, "--dry-run")
    assert "would be: 3 rows = 2 created" in found.out
    assert "nothing was written" in found.out
    assert run("leads", "show", "ana@example.com").code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--consent", "maybe"], "express:newsletter-form"),
        (["--consent", "express:"], "express:SOURCE"),
        (["--map", "Email"], "COLUMN=FIELD"),
        (["--map", "Emial=email"], "did you mean 'Email'"),
        (["--map", "Email=emial"], "did you mean 'email'"),
        (["--encoding", "klingon"], "unknown encoding"),
        (["--delimiter", "ab"], "cannot separate"),
    ],
)
def test_wrong_use_ends_with_two_and_says_what_to_write(
    run: Any, file: str, arguments: list[str], says: str
) -> None:
    found = run("leads", "import", file, *arguments)
    assert found.code == 2
    assert says in found.err


def test_a_missing_file_is_named(run: Any) -> None:
    found = run("leads", "import", "nowhere.csv", "--json")
    assert found.code == 2
    assert found.json["where"] == "nowhere.csv"


def test_columns_can_be_mapped_by_hand(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("contact;a=b;note\na@example.com;Iași;x\n", encoding="utf-8")
    found = run(
        "leads", "import", str(path), "--map", "contact=email", "--map", "a=b=city", "--map", "#3=ignore",
        "--json",
    )  # fmt: skip
    assert found.json["mapping"] == {"contact": "email", "a=b": "city", "note": "ignore"}
    shown = run("leads", "show", "a@example.com", "--json")
    assert shown.json["lead"]["city"] == "Iași"
    assert shown.json["lead"]["attributes"] == {}
    assert shown.json["mailable"] is False


def test_a_person_is_shown_exported_and_erased(run: Any, file: str) -> None:
    run("leads", "import", file, "--consent", "express:form")
    shown = run("leads", "show", "ANA@example.com", "--json")
    assert (shown.json["consent"], shown.json["mailable"]) == ("granted", True)
    exported = run("leads", "export", "ana@example.com")
    assert json.loads(exported.out)["lead"]["first_name"] == "Ana"
    erased = run("leads", "erase", "ana@example.com", "--json")
    assert erased.json["erased"] is True
    assert run("leads", "show", "ana@example.com").code == 2
    again = run("leads", "import", file, "--consent", "express:form", "--json")
    assert (again.json["created"], again.json["rejected"]) == (0, 2)
    left = run("leads", "export", "ana@example.com", "--json").json
    assert left["lead"] is None
    assert left["suppression"]["reason"] == "erasure"
