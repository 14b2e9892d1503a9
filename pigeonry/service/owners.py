"""Who holds a claim, in words that another process of the same machine can check: is that owner dead?

An owner is `boot id:pid namespace:pid:start of the process:random`. Where any of it cannot be compared
(another machine, another container, no /proc) nobody is called dead, and the lease decides.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROC = Path("/proc")
_live: set[str] = set()  # owners of this process that are at work


@contextmanager
def new_owner() -> Iterator[str]:
    """A name for the time of the block; afterwards, or when the process ends, it counts as dead."""
    owner = ":".join((*_here(), str(os.getpid()), _started(os.getpid()), secrets.token_hex(8)))
    _live.add(owner)
    try:
        yield owner
    finally:
        _live.discard(owner)


def is_dead(owner: str) -> bool:
    """True only when it is certain that no code of that owner will run again."""
    parts = owner.split(":")
    if len(parts) != 5 or (parts[0], parts[1]) != _here() or not parts[0]:
        return False
    pid, started = parts[2], parts[3]
    if not pid.isdigit() or not started:
        return False
    if int(pid) == os.getpid() and started == _started(os.getpid()):
        return owner not in _live
    try:
        os.kill(int(pid), 0)  # asks only; unlike /proc it cannot be hidden from other users
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    now = _started(int(pid))
    return bool(now) and now != started


def _here() -> tuple[str, str]:
    """Boot id and pid namespace; ("", "") where there is no /proc."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, (_PROC / "self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return "", ""


def _started(pid: int) -> str:
    """Clock ticks after boot at which a process started, "" when it cannot be seen.

    A zombie that has no thread left is as dead as one that is gone: "zombie" equals no start.
    """
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        fields = text[text.rindex(")") + 2 :].split()
        if fields[0] in {"Z", "X"} and len(list((_PROC / str(pid) / "task").iterdir())) <= 1:
            return "zombie"
        return fields[19]  # field 22 of proc(5); two came before the bracket
    except (OSError, ValueError, IndexError):
        return ""
