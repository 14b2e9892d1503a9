"""The erasure benchmark says what it promises to say."""

from __future__ import annotations

import json

import pytest

from benchmarks import erase


def test_it_searches_every_file_and_ends_with_one_json_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    erase.main(["--events", "100", "--leads", "50"])
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["benchmark"], found["events"], found["hits_after"]) == ("erase", 100, 0)
    assert found["hits_before"] > 0
    assert found["rows"]["event"] == 100
    assert found["seconds"] > 0
