"""`pigeonry operators`, `audit` and `notices`: what the console does, from a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pigeonry.cli import main


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str, code: int = 0) -> dict[str, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(tmp_path / "home"), "--json", *arguments])
        out = capsys.readouterr().out
        assert ended.value.code == code, out
        return dict(json.loads(out.strip().splitlines()[-1])) if out.strip() else {}

    return call


def test_operators_come_change_and_go_and_the_trail_says_so(run: Any) -> None:
    assert run("operators", "list") == {"operators": []}
    first = run("operators", "link", "--first")["link"]
    assert first.startswith("http://127.0.0.1:8080/setup/")
    made = run("operators", "add", "Ana@Example.com", "--name", "Ana", "--role", "editor")
    assert made["link"] != first
    assert run("operators", "add", "ana@example.com", "--name", "x", code=2)["error"] == "wrong_use"
    run("operators", "role", "ana@example.com", "sender")
    run("operators", "disable", "ana@example.com")
    (ana,) = run("operators", "list")["operators"]
    assert (ana["role"], ana["disabled"]) == ("sender", True)
    run("operators", "disable", "ana@example.com", "--undo")
    assert run("operators", "link", "nobody@example.com", code=2)["error"] == "not_found"
    run("operators", "link", code=2)

    entries = run("audit", "list")["entries"]
    assert [entry["action"] for entry in reversed(entries)] == [
        "operator.link",
        "operator.added",
        "operator.link",
        "operator.role",
        "operator.disabled",
        "operator.enabled",
    ]
    assert {entry["actor"] for entry in entries} == {"system", "command line"}
    whole = run("audit", "verify")
    assert (whole["whole"], whole["entries"]) == (True, 6)
    assert run("audit", "verify", "--expect", whole["last_hash"])["whole"]
    assert not run("audit", "verify", "--expect", "0" * 64, code=3)["whole"]


def test_another_program_is_added_and_removed(run: Any) -> None:
    made = run("notices", "add", "https://crm.example.com/hook", "--kind", "drift")
    assert made["secret"].startswith("whsec_")
    (address,) = run("notices", "list")["addresses"]
    assert address["kinds"] == ["drift"]
    assert run("notices", "deliver") == {"made": 0, "taken": 0}
    run("notices", "add", "http://10.0.0.1/", code=2)
    run("notices", "remove", "1")
    assert run("notices", "remove", "1", code=2)["error"] == "not_found"
