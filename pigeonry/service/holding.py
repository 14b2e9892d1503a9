"""HOLD: a database that was restored or copied, or a clock that jumped, sends nothing until an operator says so.

Each home has a marker outside the database, and both count the same epoch, which grows while a sender
works. A backup that is put back has an older epoch than the marker; a copy has another place. What was
sent within the last `BEAT_SECONDS` before a backup was taken in the middle of a send is the limit of this.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pigeonry.config import Home
from pigeonry.domain.message import Outcome
from pigeonry.errors import Refused, WrongUse
from pigeonry.service import journal
from pigeonry.service.people import replay_erasures
from pigeonry.store import holds, messages
from pigeonry.store.holds import InstanceRow, OpenHold
from pigeonry.store.session import Database, Session

MARKER = "instance.json"
BEAT_SECONDS = 5.0
_CHUNK = 500
_MACHINE = Path("/etc/machine-id")


class OnHold(Refused):
    """Nothing leaves until `pigeonry hold confirm`."""

    code = "hold"


@dataclass(frozen=True, slots=True)
class _Marker:
    """What the home says of itself. `pending`: the epoch that was being written when it died, else 0."""

    home: str
    epoch: int
    place: str
    pending: int = 0


def enter(db: Database, home: Home, *, now: datetime) -> None:
    """Before anything is sent. Raises OnHold when a hold is open, or when it has to raise one."""
    with _marked(home) as path:
        with db.read() as session:
            problem = _problem(session, home, _read(path), now)
            held = holds.current(session)
        if problem and held is None:
            _hold(db, problem, now)
            held = OpenHold(problem, now)
        if held is not None:
            raise OnHold(
                f"on hold: {held.reason}",
                where=str(home.path),
                fix="nothing is sent. `pigeonry hold show` says what to look at; "
                "`pigeonry hold confirm` lets mail leave again",
            )
        _count(db, home, path, now)


def beat(db: Database, home: Home, *, now: datetime) -> None:
    """A sender at work says that it is alive. Raises OnHold when the clock went back."""
    enter(db, home, now=now)


def stop(db: Database, *, reason: str, now: datetime) -> None:
    """Stop all sending at once, everywhere: the fence looks at this."""
    _hold(db, reason, now)


def look(db: Database, home: Home, *, now: datetime) -> OpenHold | None:
    """The open hold, or what would raise one if something were sent now. Changes nothing."""
    with db.read() as session:
        held = holds.current(session)
        problem = "" if held else _problem(session, home, _read(home.path / MARKER), now)
    return held or (OpenHold(problem, now) if problem else None)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """`found` planned messages had left already, as this home's journals show; `cancelled` will not be sent."""

    lifted: int
    found: int
    cancelled: int
    waiting: int
    erased: int


def confirm(db: Database, home: Home, *, by: str, now: datetime, planned: str = "") -> Confirmed:
    """An operator has looked and lets mail leave again.

    From here on this home and this database belong together. Planned messages that this home's journals
    know as handed over count as that. `planned` says what becomes of the others, which a copy or a newer
    state of this database may have sent: "send" or "cancel". Raises WrongUse when there are any and
    nothing is said. Whoever was erased since a backup was made is erased again first.
    """
    erased = replay_erasures(db, home, now=now)
    with db.read() as session:
        waiting = messages.waiting(session)
    if waiting and planned not in ("send", "cancel"):
        raise WrongUse(
            f"{waiting:,} messages wait to be sent; if this database was restored or copied, some of them "
            "may have left already",
            where="hold confirm",
            fix="say --send-planned when nothing was sent from elsewhere or since the backup, else "
            "--cancel-planned",
        )
    found = _found(db, home, now) if waiting else 0
    cancelled = 0
    if planned == "cancel":
        with db.write() as session:
            cancelled = messages.cancel_waiting(
                session, reason=f"cancelled when {by} lifted a hold"
            )
    lifted = _join(db, home, by=by, now=now)
    return Confirmed(lifted, found, cancelled, max(0, waiting - found - cancelled), erased)


def _found(db: Database, home: Home, now: datetime) -> int:
    """Settle planned messages that a journal knows as handed over since the backup was made."""
    left = journal.handed_over(home)
    keys = [
        key
        for key, end in left.items()
        if end is None or end.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)
    ]
    settled = 0
    for start in range(0, len(keys), _CHUNK):
        with db.write() as session:
            settled += messages.mark_handed_over(
                session,
                {key: left[key] for key in keys[start : start + _CHUNK]},
                at=now,
                reason="a journal of this home shows that it was handed over",
            )
    return settled


def _join(db: Database, home: Home, *, by: str, now: datetime) -> int:
    with _marked(home) as path:
        marker = _read(path)
        with db.read() as session:
            row = holds.instance(session, marker.home) if marker else None
        copied = marker is None or (row is not None and row.place != _place(home.path))
        name = secrets.token_hex(16) if copied or marker is None else marker.home
        epoch = (
            max(
                marker.epoch if marker else 0,
                marker.pending if marker else 0,
                row.epoch if row else 0,
            )
            + 1
        )
        with db.write() as session:
            lifted = holds.lift(session, by=by, at=now)
            holds.set_instance(session, InstanceRow(name, epoch, _place(home.path), now))
        _write(path, _Marker(name, epoch, _place(home.path)))
    return lifted


def _problem(session: Session, home: Home, marker: _Marker | None, now: datetime) -> str:
    """What speaks against sending from this home and database, or ""."""
    if marker is None:
        if holds.instances(session) == 0:
            return ""  # neither has ever sent
        return "this database was used by another home: it is a copy, or a second host joins for the first time"
    row = holds.instance(session, marker.home)
    if row is None:
        return (
            "the database does not know this home, which has sent before: an older backup was put back, "
            "or the database was exchanged"
        )
    place = _place(home.path)
    if marker.place != place:
        return "this home was copied or moved: its first place may still be sending"
    if row.epoch not in {marker.epoch, marker.pending or marker.epoch}:
        older = "the database is" if row.epoch < marker.epoch else "this home is"
        return f"{older} older than the other: a backup was put back ({row.epoch} against {marker.epoch})"
    return _clock(session, home, row, now)


def _clock(session: Session, home: Home, row: InstanceRow, now: datetime) -> str:
    sending = home.settings.sending
    back = row.seen_at - now
    if back > timedelta(seconds=sending.clock_step_seconds):
        return f"the clock went back by {_words(back)} since this home last sent"
    last = holds.last_seen(session) or row.seen_at
    late = timedelta(hours=sending.late_hours)
    if late and now - last > late:
        waiting = holds.overdue(session, now - late)
        if waiting:
            return (
                f"nothing ran for {_words(now - last)}, or the clock went ahead, and {waiting:,} messages "
                "are overdue"
            )
    return ""


def _hold(db: Database, reason: str, now: datetime) -> None:
    with db.write() as session:
        holds.raise_hold(session, reason=reason, at=now)


def _count(db: Database, home: Home, path: Path, now: datetime) -> None:
    """The next epoch, first announced in the marker, then in the database, then in the marker."""
    place = _place(home.path)
    marker = _read(path) or _Marker(secrets.token_hex(16), 0, place)
    with db.read() as session:
        row = holds.instance(session, marker.home)
    epoch = (row.epoch if row else marker.epoch) + 1
    seen = max(now, row.seen_at) if row else now
    _write(path, _Marker(marker.home, marker.epoch, place, pending=epoch))
    with db.write() as session:
        holds.set_instance(session, InstanceRow(marker.home, epoch, place, seen))
    _write(path, _Marker(marker.home, epoch, place))


@contextmanager
def _marked(home: Home) -> Iterator[Path]:
    """The marker's path, while no other process of this home touches it."""
    home.path.mkdir(parents=True, exist_ok=True)
    handle = os.open(home.path / f".{MARKER}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield home.path / MARKER
    finally:
        os.close(handle)


def _read(path: Path) -> _Marker | None:
    """The marker; one that cannot be read belongs to no home that the database knows."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _Marker(
            str(data["home"]), int(data["epoch"]), str(data["place"]), int(data.get("pending", 0))
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return _Marker("unreadable", 0, "")


def _write(path: Path, marker: _Marker) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(
            {
                "home": marker.home,
                "epoch": marker.epoch,
                "place": marker.place,
                "pending": marker.pending,
            },
            file,
        )
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _place(path: Path) -> str:
    """This folder on this machine, as a hash: a copy has another inode or path."""
    try:
        machine = _MACHINE.read_text(encoding="ascii").strip()
    except OSError:
        machine = ""
    text = f"{machine}\x00{path.resolve()}\x00{path.stat().st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()


def _words(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"
