"""The main job on 4,598 real leads: imported, segmented, written to, each exactly once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def memory_mb(pid: int) -> float:
    """What the process and the model server that it started hold now."""
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_campaign_over_real_leads_writes_one_file_for_each_who_may_get_it(
    public_data: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    base = [sys.executable, "-m", "pigeonry", "--home", str(home), "--json"]
    subprocess.run([*base, "models", "fetch"], check=False, capture_output=True)
    taken = subprocess.run(
        [
            *base,
            "leads",
            "import",
            str(public_data / "leads" / "crm_export.csv.gz"),
            "--consent",
            "express:crm-export",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    counts = json.loads(taken.stdout.splitlines()[-1])
    assert (counts["rows"], counts["created"], counts["rejected"]) == (4598, 4598, 0)
    assert counts["suppressed"] == 364

    brief = ROOT / "examples" / "briefs" / "course-provider.toml"
    began = time.monotonic()
    running = subprocess.Popen(
        [*base, "campaign", "run", str(brief), "--send", "--approve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # its server stands, so its memory counts; the demo looks at what it writes
        env={**os.environ, "PIGEONRY_LLM__LOCAL_CALLS": "2"},
    )
    peak = 0.0
    while running.poll() is None:
        peak = max(peak, memory_mb(running.pid))
        time.sleep(0.2)
    out, errors = running.communicate()
    seconds = time.monotonic() - began
    print(f"campaign over real leads: {seconds:.0f} s, at most {peak:.0f} MB")
    assert running.returncode == 0, errors
    result = json.loads(out.splitlines()[-1])
    files = [path.stem for path in (home / "outbox").rglob("*.eml")]
    assert result["sent"] == len(files) == len(set(files)) == 4598 - 364 - result["held_out"]
    assert 0 < result["held_out"] < 0.2 * (4598 - 364)
    assert peak < 2000
