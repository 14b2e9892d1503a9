"""What one sender process is doing, in a file that outlives it: which hand-overs it began, and how they ended.

Lines are written, not synced: what a process wrote is there when the process is killed. It is not proof
after the machine itself went down, and is not read then: a dead owner is told by boot id and process.
It turns most of what a killed sender leaves behind from unknown into known, without asking anybody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pigeonry.config import Home
from pigeonry.domain.failpoint import failpoint
from pigeonry.domain.message import HandOver, Outcome

_FOLDER = "handovers"
_NOT_BEGUN = HandOver(Outcome.RETRY, reason="its sender ended before the first byte")


class Journal:
    """The journal of one owner; safe to write from several threads (each line is one appending write)."""

    def __init__(self, home: Home, owner: str) -> None:
        self.path = _path(home, owner)
        self.path.parent.mkdir(parents=True, exist_ok=True)
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
        words = " ".join(result.reason.split())[:200]
        self._line(
            f"e {send_key} {epoch} {result.outcome} {result.channel or '-'} "
            f"{result.provider_id.replace(' ', '')[:200] or '-'} {words}"
        )
        failpoint("journal.after_end")

    def _line(self, text: str) -> None:
        data = f"{text}\n".encode("utf-8", "replace")
        if os.write(self._handle, data) != len(data):
            raise OSError("the journal of hand-overs was cut short: the disk is full")

    def close(self, *, remove: bool) -> None:
        """`remove` when every hand-over in it is recorded in the database."""
        os.close(self._handle)
        if remove:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Testimony:
    """What a dead owner's journal says."""

    entries: Mapping[tuple[str, int], HandOver | None]

    def of(self, send_key: str, epoch: int) -> HandOver | None:
        """How that hand-over ended; RETRY when it certainly never began; None when nobody can know."""
        return self.entries.get((send_key, epoch), _NOT_BEGUN)


def read(home: Home, owner: str) -> Testimony | None:
    """The journal of an owner that is certainly dead; None when there is none here."""
    try:
        lines = _path(home, owner).read_bytes().split(b"\n")[:-1]  # a cut last line was not written
    except OSError:
        return None
    entries: dict[tuple[str, int], HandOver | None] = {}
    for line in lines:
        parts = line.decode("utf-8", "replace").split(" ", 6)
        if len(parts) == 3 and parts[0] == "b":
            entries[parts[1], int(parts[2])] = None
        elif len(parts) == 7 and parts[0] == "e":
            _, send_key, epoch, outcome, channel, provider_id, reason = parts
            entries[send_key, int(epoch)] = HandOver(
                Outcome(outcome),
                provider_id="" if provider_id == "-" else provider_id,
                reason=reason,
                channel="" if channel == "-" else channel,
            )
    return Testimony(entries)


def forget(home: Home, owner: str) -> None:
    """Its hand-overs are all settled."""
    _path(home, owner).unlink(missing_ok=True)


def _path(home: Home, owner: str) -> Path:
    return home.path / _FOLDER / f"{owner.replace(':', '-').replace('/', '-')}.log"
