"""What one sender process is doing, in a file that outlives it: which hand-overs it began, and how they ended.

Lines are written, not synced: what a process wrote is there when the process is killed. It is not proof
after the machine itself went down, and is not read then: a dead owner is told by boot id and process.
It turns most of what a killed sender leaves behind from unknown into known, without asking anybody. Journals
are kept for a week: when a backup of the database is put back, they still know what has left since. They hold
random keys and outcomes, no word of a server and nothing of a person, so nobody ever has to change one.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pigeonry.config import Home
from pigeonry.domain.failpoint import failpoint
from pigeonry.domain.message import HandOver, Outcome

_FOLDER = "handovers"
_LINE = re.compile(
    rb"[be] ([0-9a-f]{32}) (\d+)(?: (accepted|retry|refused|unknown) ([\w>-]+))?", re.ASCII
)
_KEPT_SECONDS = 7 * 86_400.0
_NOT_BEGUN = HandOver(Outcome.RETRY, reason="its sender ended before the first byte")


class Journal:
    """The journal of one owner; safe to write from several threads (each line is one appending write)."""

    def __init__(self, home: Home, owner: str) -> None:
        self.path = _path(home, owner)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _prune(self.path.parent)
        self._handle = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )

    def begin(self, send_key: str, epoch: int) -> None:
        """Before the first byte. Raises OSError when it cannot be written: then nothing may leave."""
        failpoint("journal.before_begin")
        self._line(f"b {send_key} {epoch}")
        failpoint("journal.after_begin")

    def end(self, send_key: str, epoch: int, result: HandOver) -> None:
        """After the answer."""
        failpoint("journal.before_end")
        self._line(f"e {send_key} {epoch} {result.outcome} {result.channel or '-'}")
        failpoint("journal.after_end")

    def _line(self, text: str) -> None:
        data = f"{text}\n".encode("utf-8", "replace")
        if os.write(self._handle, data) != len(data):
            raise OSError("the journal of hand-overs was cut short: the disk is full")

    def close(self) -> None:
        os.close(self._handle)


@dataclass(frozen=True, slots=True)
class Testimony:
    """What a dead owner's journal says."""

    entries: Mapping[tuple[str, int], HandOver | None]

    def of(self, send_key: str, epoch: int) -> HandOver | None:
        """How that hand-over ended; RETRY when it certainly never began; None when nobody can know."""
        return self.entries.get((send_key, epoch), _NOT_BEGUN)


def read(home: Home, owner: str) -> Testimony | None:
    """The journal of an owner that is certainly dead; None when there is none here, or none to believe."""
    try:
        return Testimony(_entries(_path(home, owner)))
    except (OSError, ValueError):
        return None


def handed_over(home: Home) -> dict[str, HandOver | None]:
    """send key -> how its last hand-over ended (None: nobody knows), from every journal that is kept."""
    folder = home.path / _FOLDER
    found: dict[str, HandOver | None] = {}
    for path in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime):
        with contextlib.suppress(ValueError):  # the machine went down while it was written
            found |= {key: end for (key, _), end in _entries(path).items()}
    return found


def _entries(path: Path) -> dict[tuple[str, int], HandOver | None]:
    lines = path.read_bytes().split(b"\n")[:-1]  # a cut last line was not written
    entries: dict[tuple[str, int], HandOver | None] = {}
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{path} is no journal of hand-overs")
        key, epoch, outcome, channel = ((part or b"").decode() for part in found.groups())
        end = HandOver(
            Outcome(outcome or Outcome.UNKNOWN),
            reason="as its sender's journal has it",
            channel="" if channel == "-" else channel,
        )
        entries[key, int(epoch)] = end if outcome else None
    return entries


def _prune(folder: Path) -> None:
    before = time.time() - _KEPT_SECONDS
    for path in folder.glob("*.log"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


def _path(home: Home, owner: str) -> Path:
    return home.path / _FOLDER / f"{owner.replace(':', '-').replace('/', '-')}.log"
