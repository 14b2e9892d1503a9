"""The signing benchmark checks both signatures and ends with one JSON line."""

from __future__ import annotations

import json

import pytest

from benchmarks import sign


def test_both_signatures_verify_and_the_last_line_is_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sign.main(["--mails", "3"])
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["benchmark"], found["mails"]) == ("sign", 3)
    assert found["ours_ms"] > 0
    assert found["dkimpy_ms"] > 0
