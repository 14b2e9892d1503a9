"""Mails as `.eml` files: `<outbox>/campaign-<id>/<send_key>.eml`, whole or not there at all.

The one channel that can always say what became of a hand-over: the file is there, or it is not.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from pigeonry.delivery.mime import closing, to_bytes
from pigeonry.domain.failpoint import failpoint
from pigeonry.domain.message import HandOver, Outcome, OutgoingMessage

_UNFINISHED = ".unfinished"


class FileSender:
    """Writes aside, syncs, renames, syncs the folder: after that the mail survives a power cut.

    The name is the send key, so a second hand-over of a key could only write the same file again.
    """

    name = "file"
    max_seconds = 30.0  # a disk that takes longer for one mail is broken

    def __init__(self, outbox: Path) -> None:
        self.outbox = outbox

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        folder = self.outbox / f"campaign-{message.headers.get('X-Pigeonry-Campaign', '0')}"
        aside = folder / _UNFINISHED / f"{message.send_key}-{secrets.token_hex(4)}"
        final = folder / f"{message.send_key}.eml"
        try:
            data = to_bytes(message)
            try:
                _write(aside, data)
            except FileNotFoundError:
                aside.parent.mkdir(parents=True, exist_ok=True)
                _write(aside, data)
            failpoint("file.before_rename")
            aside.replace(final)
            failpoint("file.after_rename")
        except OSError as error:
            aside.unlink(missing_ok=True)
            return HandOver(
                Outcome.RETRY,
                reason=f"{folder}: {error.strerror or error}",
                channel_down=error.errno != errno.ENAMETOOLONG,
            )
        try:
            _sync_folder(folder)
        except OSError as error:
            # The name is there; whether it survives a power cut, nobody can say.
            return HandOver(Outcome.UNKNOWN, reason=f"{folder}: {error.strerror or error}")
        return HandOver(Outcome.ACCEPTED, provider_id=message.send_key)

    def evidence(self, send_key: str) -> bool | None:
        """True when a whole mail of that key is there. Removes what an interrupted write left."""
        if not self.outbox.exists():
            return False
        for folder in self.outbox.iterdir():
            path = folder / f"{send_key}.eml"
            if path.exists():
                # A power cut may leave a name without its content: that was never recorded.
                if path.read_bytes().endswith(closing(send_key)):
                    return True
                path.unlink()
            for rest in (folder / _UNFINISHED).glob(f"{send_key}-*"):
                rest.unlink(missing_ok=True)
        return False


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
