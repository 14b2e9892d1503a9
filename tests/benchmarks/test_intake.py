"""The intake benchmark takes every row and ends with one JSON line."""

from __future__ import annotations

import json

import pytest

from benchmarks import intake


@pytest.mark.slow
def test_the_benchmark_measures_both_sides_and_ends_with_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    intake.main(["--rows", "1500", "--database", "sqlite"])
    (result,) = json.loads(capsys.readouterr().out.strip().splitlines()[-1])["results"]
    assert result["rows"] == 1500
    assert result["rejected"] > 0
    assert result["rows_per_second"] > 0
    assert 20 < result["peak_mb"] < 250
    assert result["pandas_rows_per_second"] > 0
