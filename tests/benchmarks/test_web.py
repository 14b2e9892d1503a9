"""The benchmark of pages opens every page of a small installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import web


def test_every_page_of_a_small_installation_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--leads", "60", "--campaigns", "6", "--events", "600"]
    effort = ["--requests", "1", "--rate", "20", "--seconds", "1"]
    web.main(["--folder", str(tmp_path), *size, *effort])
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert found["failed"] == 0
    assert (found["acks"], found["acks_failed"]) == (20, 0)
    assert found["pages"]["results"]["n"] == 1
    assert found["peak_mb"] > 20
