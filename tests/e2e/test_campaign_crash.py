"""A campaign that is killed by SIGKILL and started again: nobody twice, nobody forgotten."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LEADS = 400


def pigeonry(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "pigeonry", "--home", str(home), "--json", *arguments]


def environment() -> dict[str, str]:
    """No model is needed for this: words stand in for vectors, the copy library writes."""
    return {
        **os.environ,
        "PIGEONRY_EMBEDDING__BACKEND": "hashing",
        "PIGEONRY_LLM__LOCAL": "false",
    }


def leads(folder: Path, count: int) -> Path:
    path = folder / "leads.csv"
    jobs = ("designer", "accountant", "teacher", "developer")
    rows = [
        f"lead{n}@example.com,Ana,{jobs[n % 4]},{'România' if n % 3 else 'Ireland'}"
        for n in range(count)
    ]
    path.write_text("Email,First Name,Job,Country\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_campaign_killed_again_and_again_writes_to_everybody_once(tmp_path: Path) -> None:
    home, env = tmp_path / "home", environment()
    subprocess.run(
        pigeonry(home, "leads", "import", str(leads(tmp_path, LEADS)), "--consent", "express:test"),
        check=True,
        capture_output=True,
        env=env,
    )
    brief = str(ROOT / "examples" / "briefs" / "course-provider.toml")
    command = pigeonry(home, "campaign", "run", brief, "--send", "--approve")
    outbox = home / "outbox"
    lot = random.Random(5)
    kills = 0
    for goal in (0, 1, 30, 31, 90, 150, 220, 300):
        running = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
        )
        deadline = time.monotonic() + 60
        if goal == 0:
            time.sleep(1.0)  # somewhere before the first mail
        while (
            running.poll() is None
            and time.monotonic() < deadline
            and sum(1 for _ in outbox.rglob("*.eml")) < goal
        ):
            time.sleep(0.002)
        time.sleep(lot.uniform(0, 0.01))
        if running.poll() is None:
            running.send_signal(signal.SIGKILL)
            kills += 1
        running.wait()
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])

    assert kills >= 5
    assert result["stage"] == "done"
    assert result["sent"] == result["planned"]
    assert result["sent"] + result["held_out"] == LEADS
    files = [path.stem for path in outbox.rglob("*.eml")]
    assert len(files) == len(set(files)) == result["sent"]
    with sqlite3.connect(home / "pigeonry.db") as connection:
        keys = connection.execute("SELECT send_key FROM message").fetchall()
        assert sorted(key for (key,) in keys) == sorted(files)
        handed = connection.execute(
            "SELECT max(n) FROM (SELECT count(*) n FROM message_attempt "
            "WHERE outcome = 'accepted' GROUP BY message_id)"
        ).fetchone()
    assert handed == (1,)


def test_nothing_is_sent_before_approval_and_nothing_again_by_a_finished_campaign(
    tmp_path: Path,
) -> None:
    home, env = tmp_path / "home", environment()
    subprocess.run(
        pigeonry(home, "leads", "import", str(leads(tmp_path, 60)), "--consent", "express:test"),
        check=True,
        capture_output=True,
        env=env,
    )
    brief = str(ROOT / "examples" / "briefs" / "course-provider.toml")
    command = pigeonry(home, "campaign", "run", brief, "--send")
    stopped = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert stopped.returncode == 3
    assert "pigeonry campaign approve" in stopped.stderr
    assert not list((home / "outbox").rglob("*.eml"))

    command.append("--approve")
    first = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    times = {path: path.stat().st_mtime_ns for path in (home / "outbox").rglob("*.eml")}
    assert json.loads(first.stdout.splitlines()[-1])["sent"] == len(times) > 0

    again = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert "was done before" in again.stderr
    assert times == {path: path.stat().st_mtime_ns for path in (home / "outbox").rglob("*.eml")}


def test_without_consent_nobody_is_written_to(tmp_path: Path) -> None:
    home, env = tmp_path / "home", environment()
    subprocess.run(
        pigeonry(home, "leads", "import", str(leads(tmp_path, 60))),
        check=True,
        capture_output=True,
        env=env,
    )
    brief = str(ROOT / "examples" / "briefs" / "course-provider.toml")
    done = subprocess.run(
        pigeonry(home, "campaign", "run", brief, "--send", "--approve"),
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 3
    assert "consent" in done.stderr
    assert not list((home / "outbox").rglob("*.eml"))
