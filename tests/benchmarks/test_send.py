"""The sending benchmark says what it promises to say."""

from __future__ import annotations

import json

import pytest

from benchmarks import send
from pigeonry.prove.cell import CHANNELS


@pytest.mark.slow
@pytest.mark.parametrize("channel", CHANNELS)
def test_it_counts_at_the_far_end_and_ends_with_one_json_line(
    capsys: pytest.CaptureFixture[str], channel: str
) -> None:
    send.main(["--messages", "40", "--channel", channel, "--database", "sqlite", "--workers", "1"])
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    (cell,) = found["cells"]
    assert (found["benchmark"], cell["messages"], cell["channel"]) == ("send", 40, channel)
    assert cell["per_second"] > 0
    assert cell["plain_per_second"] > 0
    assert cell["peak_mb"] > 0
