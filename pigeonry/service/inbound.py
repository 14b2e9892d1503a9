"""Fetches replies and bounces from a mailbox by IMAP: stored first, marked as seen only then."""

from __future__ import annotations

import imaplib
import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from feedback.events import INBOUND
from pigeonry.config import Home
from pigeonry.delivery.base import secret_text
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import ConfigError, OutsideFailure
from pigeonry.store import mailboxes, raw_events
from pigeonry.store.mailboxes import Place
from pigeonry.store.session import Database

_TIMEOUT = 60.0  # seconds for each answer of the server
_MOST_BYTES = 4_000_000  # of one mail; what comes after its words are pictures
_TOGETHER = 20  # mails in one transaction
_UID = re.compile(rb"\d+")


@dataclass(frozen=True, slots=True)
class PollReport:
    """`fetched` mails are stored now; those that an earlier poll had stored already are among them."""

    fetched: int = 0


def poll(
    db: Database,
    home: Home,
    *,
    now: datetime,
    progress: Progress = silent,
    env: Mapping[str, str] = os.environ,
) -> PollReport:
    """Store every mail that came since the last poll. Safe to run twice and to kill at any moment: what
    was not committed is fetched again.

    Raises ConfigError without a mailbox or its password, OutsideFailure for a server that does not
    answer as it should.
    """
    settings = home.settings.inbound
    if not settings.imap_host:
        raise ConfigError(
            "no mailbox is set",
            where="inbound.imap_host",
            fix="set inbound.imap_host and inbound.imap_username in pigeonry.toml",
        )
    password = secret_text(home, "imap_password", env)
    name = f"{settings.imap_username}@{settings.imap_host}/{settings.imap_folder}"
    fetched = 0
    with _mailbox(home, password) as (server, validity):
        with db.read() as session:
            last = mailboxes.place(session, name)
        after = last.uid if last.validity == validity else 0
        waiting = _waiting(server, after)
        for start in range(0, len(waiting), _TOGETHER):
            uids = waiting[start : start + _TOGETHER]
            bodies = [body for uid in uids if (body := _fetch(server, uid))]
            with db.write() as session:
                for body in bodies:
                    raw_events.add(session, source=INBOUND, body=body, headers={}, at=now)
                mailboxes.move(session, name, Place(validity, uids[-1]), now)
            fetched += len(bodies)
            _expect(server.uid("STORE", _joined(uids), "+FLAGS.SILENT", r"(\Seen)"))
            progress("mails", start + len(uids), len(waiting))
    return PollReport(fetched)


@contextmanager
def _mailbox(home: Home, password: str) -> Iterator[tuple[imaplib.IMAP4, int]]:
    """The folder, open, and its UIDVALIDITY. What the server says wrong becomes an error of ours."""
    settings = home.settings.inbound
    where = f"{settings.imap_host}:{settings.imap_port}"
    try:
        server = _connected(home)
        try:
            _log_in(server, settings.imap_username, password)
            _expect(server.select(_quoted(settings.imap_folder)))
            found = _UID.search(b" ".join(server.response("UIDVALIDITY")[1] or [b""]) or b"")
            yield server, int(found.group()) if found else 0
        finally:
            _leave(server)
    except (imaplib.IMAP4.error, OSError) as error:
        raise OutsideFailure(
            f"the mailbox could not be read: {error}",
            where=where,
            fix="check inbound.imap_host, imap_port, imap_security and imap_folder, then try again",
            transient=True,
        ) from error


def _connected(home: Home) -> imaplib.IMAP4:
    settings = home.settings.inbound
    if settings.imap_security == "none":
        return imaplib.IMAP4(settings.imap_host, settings.imap_port, timeout=_TIMEOUT)
    return imaplib.IMAP4_SSL(
        settings.imap_host,
        settings.imap_port,
        ssl_context=ssl.create_default_context(),
        timeout=_TIMEOUT,
    )


def _log_in(server: imaplib.IMAP4, username: str, password: str) -> None:
    try:
        server.login(username, password)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise OutsideFailure(
            "the mailbox refused its user name or password",
            where="inbound.imap_username",
            fix="set PIGEONRY_IMAP_PASSWORD to the mailbox's password (an app password, where one is "
            "asked for)",
        ) from error


def _leave(server: imaplib.IMAP4) -> None:
    try:
        server.logout()
    except (imaplib.IMAP4.error, OSError):  # it has all that it should know
        server.shutdown()


def _waiting(server: imaplib.IMAP4, after: int) -> list[int]:
    """UIDs of mails that are newer. A server answers `n:*` with its last mail even when that is older."""
    found = _expect(server.uid("SEARCH", f"UID {after + 1}:*"))
    uids = {int(text) for part in found if isinstance(part, bytes) for text in _UID.findall(part)}
    return sorted(uid for uid in uids if uid > after)


def _fetch(server: imaplib.IMAP4, uid: int) -> bytes:
    """The mail's first bytes, without marking it as seen; b"" when somebody has deleted it."""
    found = _expect(server.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{_MOST_BYTES}>)"))
    return next((part[1] for part in found if isinstance(part, tuple)), b"")


def _expect(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(f"the server answered {kind}")
    return data


def _joined(uids: list[int]) -> str:
    return ",".join(map(str, uids))


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
