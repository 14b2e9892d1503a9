"""An owner is called dead only when no code of it can ever run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pigeonry.service.owners import is_dead, new_owner

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

CHILD = (
    "import sys, time\n"
    "from pigeonry.service.owners import new_owner\n"
    "with new_owner() as owner:\n"
    "    print(owner, flush=True)\n"
    "    time.sleep(60)\n"
)


def child() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_an_owner_lives_as_long_as_its_block() -> None:
    with new_owner() as owner:
        assert not is_dead(owner)
    assert is_dead(owner)


def test_another_process_is_alive_until_it_is_killed() -> None:
    process, owner = child()
    try:
        assert not is_dead(owner)
        process.send_signal(signal.SIGSTOP)  # paused is not dead
        assert not is_dead(owner)
    finally:
        process.kill()
    process.wait()
    assert is_dead(owner)


def test_a_killed_process_that_nobody_waited_for_is_dead() -> None:
    process, owner = child()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert is_dead(owner)
    process.wait()


def test_a_reused_process_number_does_not_keep_an_owner_alive() -> None:
    with new_owner() as owner:
        boot, space, pid, started, token = owner.split(":")
    assert is_dead(":".join((boot, space, pid, str(int(started) - 1), token)))


@pytest.mark.parametrize("change", [0, 1])
def test_nobody_on_another_machine_or_in_another_container_is_called_dead(change: int) -> None:
    with new_owner() as owner:
        parts = owner.split(":")
    parts[change] = "elsewhere"
    assert not is_dead(":".join(parts))


@pytest.mark.parametrize("text", ["", "operator", "a:b:c:d", "::::", "a:b:x:1:z"])
def test_a_text_that_is_no_owner_is_not_dead(text: str) -> None:
    assert not is_dead(text)
