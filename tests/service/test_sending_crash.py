"""SIGKILL at random moments, again and again: nobody is written to twice and nobody is forgotten.

What was sent is counted at the far end (files, the sink's log), never from our own tables.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pigeonry.config import Home
from pigeonry.store.session import Database
from tests.delivery.sinks import smtp_sink
from tests.delivery.world import World

MESSAGES, KILLS = 300, 6
ROOT = Path(__file__).parents[2]


def send_under_fire(home: Home, world: World, seed: int, env: dict[str, str]) -> int:
    """Start the sender, kill it in the middle, start it again; the last run may finish. Returns how
    many kills hit a sender at work."""
    lot, hits = random.Random(seed), 0
    command = [
        sys.executable,
        str(ROOT / "tests/service/sender_process.py"),
        str(home.path),
        str(world.campaign_id),
    ]
    everything = {**os.environ, **env, "PYTHONPATH": str(ROOT)}
    for attempt in range(KILLS + 1):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=everything)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if attempt == KILLS:
            assert process.wait(120) == 0
            break
        before = _accepted(world)
        while _accepted(world) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(lot.uniform(0.0, 0.25))
        hits += process.poll() is None
        process.kill()
        process.wait()
    return hits


def _accepted(world: World) -> int:
    return world.states().count("accepted")


@pytest.fixture
def world(database: Database) -> World:
    found = World(database, leads=MESSAGES)
    found.plan()
    return found


@pytest.mark.slow
def test_files_killed_in_the_middle_are_complete_and_each_is_there_once(
    database: Database, home: Home, world: World
) -> None:
    assert send_under_fire(home, world, 1, {"PIGEONRY_SENDING__PER_SECOND": "150"}) >= KILLS - 2
    files = [path.stem for path in home.outbox.rglob("*.eml")]
    assert sorted(files) == sorted(world.keys())  # none missing, none twice, none foreign
    assert set(world.states()) == {"accepted"}
    assert [path for path in home.outbox.rglob(".unfinished/*") if path.is_file()] == []


@pytest.mark.slow
def test_over_smtp_nobody_gets_two_and_whoever_got_none_is_shown(
    database: Database, home: Home, world: World
) -> None:
    with smtp_sink() as sink:
        env = {
            "PIGEONRY_SENDING__CHANNEL": "smtp",
            "PIGEONRY_SENDING__LEASE_SECONDS": "900",
            "PIGEONRY_SENDING__QUARANTINE_SECONDS": "6",
            "PIGEONRY_SENDING__EVENT_DELAY_SECONDS": "0",
            "PIGEONRY_SMTP__TIMEOUT_SECONDS": "1",
            "PIGEONRY_SMTP__AFTER_DOT_SECONDS": "2",
            "PIGEONRY_SMTP__PORT": str(sink.port),
            "PIGEONRY_SMTP__SECURITY": "none",
            "PIGEONRY_SENDING__PER_SECOND": "150",
        }
        hits = send_under_fire(home, world, 2, env)
    times = Counter(sink.keys)
    assert max(times.values()) == 1
    state = {row.send_key: row.state for row in world.messages()}
    assert set(state.values()) <= {"accepted", "parked", "unknown"}
    never_seen = set(state) - set(times)
    assert all(state[key] in ("parked", "unknown") for key in never_seen)
    assert all(times[key] == 1 for key, value in state.items() if value == "accepted")
    # A kill leaves at most what the lanes had under way.
    assert sum(value != "accepted" for value in state.values()) <= 2 * (hits + 1)
