"""The sending benchmark says what it promises to say."""

from __future__ import annotations

import json

import pytest

from benchmarks import send


@pytest.mark.slow
@pytest.mark.parametrize("channel", ["file", "smtp"])
def test_it_counts_at_the_far_end_and_ends_with_one_json_line(
    capsys: pytest.CaptureFixture[str], channel: str
) -> None:
    send.main(["--messages", "40", "--channel", channel])
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["benchmark"], found["messages"], found["channel"]) == ("send", 40, channel)
    assert found["per_second"] > 0
    assert found["plain_per_second"] > 0
    assert found["peak_mb"] > 0
