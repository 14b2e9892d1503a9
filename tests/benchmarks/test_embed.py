"""The embedding benchmark measures both paths on the same texts and ends with one JSON line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import embed


def test_generated_texts_are_distinct_and_the_same_for_the_same_seed() -> None:
    texts = embed.generate(300, "ro", 1)
    assert len(set(texts)) == 300
    assert texts == embed.generate(300, "ro", 1)
    assert texts != embed.generate(300, "ro", 2)


@pytest.mark.slow
def test_the_benchmark_compares_both_paths_and_ranks_pairs(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "text_a,text_b,label,language\n"
        "Un curs de contabilitate,Lecții de contabilitate,1,ro\n"
        "Un curs de contabilitate,Plouă la munte,0,ro\n"
        "A cake recipe,How to bake a cake,1,en\n"
        "A cake recipe,The train is late,0,en\n",
        encoding="utf-8",
    )
    # A process of its own: a child's peak memory begins at its parent's, and this one is large.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.embed", "--texts", "40", "--pairs", str(pairs)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "OutsideFailure" in done.stderr:
        pytest.skip(f"the packaged weights cannot be had: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.strip().splitlines()[-1])
    assert result["texts"] == 40
    assert result["speedup"] > 0
    assert result["default"]["rss_mb"] < result["plain"]["rss_mb"]
    for language in ("ro", "en"):
        assert result[language]["cosine_mean"] > 0.998
        assert result["pairs"][language]["default"]["auc"] == 1.0
