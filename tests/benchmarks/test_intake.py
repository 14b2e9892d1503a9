"""The intake benchmark takes every row and ends with one JSON line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_benchmark_measures_both_sides_and_ends_with_json() -> None:
    # A process of its own: a child's peak memory begins at its parent's, and this one is large.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.intake", "--rows", "1500", "--database", "sqlite"],
        capture_output=True,
        text=True,
        check=True,
    )
    (result,) = json.loads(done.stdout.strip().splitlines()[-1])["results"]
    assert result["rows"] == 1500
    assert result["rejected"] > 0
    assert result["rows_per_second"] > 0
    assert 20 < result["peak_mb"] < 250
    assert result["pandas_rows_per_second"] > 0
