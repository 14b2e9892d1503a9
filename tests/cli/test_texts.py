"""The text checks end with 0 when every rule is kept, and with 1 and the violations when not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pigeonry.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--json"])
    return int(left.value.code or 0), json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("noun", ["prompts", "templates"])
def test_what_is_packaged_keeps_its_rules(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, noun, "check") == (0, {"violations": []})


def test_a_broken_prompt_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.j2").write_text("no front matter", encoding="utf-8")
    code, data = run(capsys, "prompts", "check", "--folder", str(tmp_path))
    assert code == 1
    assert data["violations"][0]["field"] == "a.j2"  # type: ignore[index]


def test_costs_of_an_empty_home_are_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, data = run(capsys, "costs", "--home", str(tmp_path / "home"))
    assert code == 0
    assert [step["micros"] for step in data["waterfall"]] == [0] * 5  # type: ignore[index, attr-defined]
