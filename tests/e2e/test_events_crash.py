"""The web process is killed while events come in: none that it acknowledged is lost, none counts twice.

A small cell of `python -m benchmarks.events`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.events import measure

pytestmark = [pytest.mark.slow]


def test_no_acknowledged_event_is_lost_when_the_web_process_is_killed(tmp_path: Path) -> None:
    found = measure(tmp_path / "home", deliveries=20_000, events=8_000, kills=3, seed=1, lanes=6)
    assert found["kills"] == 3
    assert (found["lost"], found["wrong"]) == (0, 0), found["wrong_by"]
    assert found["acked"] == 20_000
    assert found["stored"] == 8_000
    assert found["forged_taken"] == 0
    assert found["forged_refused"] >= 1
    assert found["exit_code"] == 0
