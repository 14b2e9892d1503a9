"""Who was erased, outside the database: a backup that is put back must not bring anybody back.

One line an erasure, the time and the keyed hash of the address. Without the home's key it says nothing.
"""

from __future__ import annotations

import os
import re
from datetime import datetime

from pigeonry.config import Home

FILE = "erasures.log"
_LINE = re.compile(r"\S+ ([0-9a-f]{64})\Z")


def note(home: Home, address_hash: str, *, now: datetime) -> None:
    """On disk before anything is erased: what a crash leaves undone is done by the replay."""
    handle = os.open(home.path / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, f"{now.isoformat(timespec='seconds')} {address_hash}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def noted(home: Home) -> set[str]:
    """Every hash; lines that a crash cut short are passed over."""
    path = home.path / FILE
    if not path.exists():
        return set()
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    return {found[1] for line in lines if (found := _LINE.match(line))}
