"""`pigeonry segments` and `pigeonry models` from outside: the keys that other programs rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pigeonry.cli import main


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PIGEONRY_EMBEDDING__BACKEND", "hashing")

    def call(*arguments: str) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as caught:
            main(["--home", str(tmp_path / "home"), *arguments, "--json"])
        out = capsys.readouterr().out.strip().splitlines()
        assert len(out) == 1
        return int(caught.value.code or 0), json.loads(out[0])

    return call


@pytest.fixture
def audience(run: Any, tmp_path: Path) -> None:
    rows = [f"p{n}@example.com,{('nurse', 'tax lawyer')[n % 2]}" for n in range(40)]
    path = tmp_path / "leads.csv"
    path.write_text("\n".join(["Email,Occupation", *rows]), encoding="utf-8")
    run("leads", "import", str(path), "--consent", "express:form")


def test_refresh_list_and_show_speak_of_the_same_segments(run: Any, audience: None) -> None:
    code, refreshed = run("segments", "refresh")
    assert code == 0
    assert {"segments", "moved", "model"} <= set(refreshed)
    assert sum(segment["size"] for segment in refreshed["segments"]) == 40
    code, listed = run("segments", "list")
    assert (code, listed["segments"]) == (0, refreshed["segments"])
    first = listed["segments"][0]
    assert set(first) == {"id", "name", "size", "description"}
    code, shown = run("segments", "show", str(first["id"]))
    assert code == 0
    assert {key: shown["segments"][0][key] for key in first} == first


def test_an_unknown_segment_is_wrong_use(run: Any) -> None:
    code, said = run("segments", "show", "12")
    assert (code, said["error"]) == (2, "not_found")


def test_models_are_listed_before_any_was_fetched(run: Any) -> None:
    code, said = run("models", "list")
    assert code == 0
    assert [model["present"] for model in said["models"]] == [False, False]
