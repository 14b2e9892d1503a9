"""Tells other programs what happened (Standard Webhooks): a campaign finished, messages wait for a person's word,
a lead may not be written to any more, something drifted.

News are found by looking at the rows themselves, so that nothing that was committed is forgotten; each is told
to an address until it is taken, in order of time, at least once: a receiver knows repeats by `webhook-id`.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pigeonry import __version__
from pigeonry.config import Home
from pigeonry.delivery import outgoing
from pigeonry.domain.notice import News, Notice, NoticeAddress, NoticeKind, NoticeState
from pigeonry.errors import NotFound, OutsideFailure, PigeonryError, WrongUse
from pigeonry.service import audit
from pigeonry.store import notices as store
from pigeonry.store.session import Database, Session

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = "notices.key"
KINDS = tuple(kind for kind in NoticeKind if kind is not NoticeKind.TEST)
_BACK = timedelta(
    days=3
)  # a row may be older than its commit: an import states when somebody said no
_KEPT = timedelta(days=30)
_LEASE = timedelta(minutes=2)
_AT_ONCE = 20
_MOST_NEWS = 1000  # of one look
# Waits after a failure, as the standard advises: about three days altogether.
_WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
_GONE = 410  # "do not call again"

Post = Callable[[str, bytes, Mapping[str, str]], int]


def add(
    db: Database, home: Home, *, url: str, kinds: tuple[NoticeKind, ...], by: str, now: datetime
) -> tuple[NoticeAddress, str]:
    """An address, and the secret that signs what goes there: shown this once. Only what happens from now
    on is told."""
    outgoing.target(url)
    if not kinds or NoticeKind.TEST in kinds:
        raise WrongUse("say what it shall be told of", where="kinds")
    secret = secrets.token_bytes(32)
    with db.write() as session:
        made = store.add_address(
            session, url=url, kinds=kinds, secret=_sealed(home, secret), at=now
        )
        audit.note(
            session, home, actor=by, action="notices.added", subject=f"notices:{made.id}", now=now
        )
    return made, f"whsec_{base64.b64encode(secret).decode()}"


def addresses(db: Database) -> list[NoticeAddress]:
    with db.read() as session:
        return store.addresses(session)


def remove(db: Database, home: Home, address_id: int, *, by: str, now: datetime) -> None:
    with db.write() as session:
        if not store.remove_address(session, address_id):
            raise NotFound("there is no such address for notices", where=str(address_id))
        audit.note(
            session,
            home,
            actor=by,
            action="notices.removed",
            subject=f"notices:{address_id}",
            now=now,
        )


def ask_for_test(db: Database, address_id: int, *, now: datetime) -> None:
    """A notice that says nothing, to see whether one arrives."""
    with db.write() as session:
        if address_id not in {address.id for address in store.addresses(session)}:
            raise NotFound("there is no such address for notices", where=str(address_id))
        test = News(f"test:{secrets.token_hex(8)}", NoticeKind.TEST, now, {})
        store.add(session, address_id, [test], now)


def newest(db: Database, limit: int = 50) -> list[Notice]:
    with db.read() as session:
        return store.newest(session, limit)


def look(db: Database, *, now: datetime) -> int:
    """Find what has happened and nobody was told; returns how many notices wait for it."""
    with db.read() as session:
        wanted = [found for found in store.addresses(session) if found.stopped_at is None]
        fresh = {found.id: _fresh(session, found, now) for found in wanted}
    if not any(fresh.values()):
        return 0
    count = 0
    with db.write() as session:
        there = {found.id for found in store.addresses(session)}
        for address_id, news in fresh.items():
            if address_id in there:
                told = store.known(session, address_id, [one.key for one in news])
                left = [one for one in news if one.key not in told]
                count += store.add(session, address_id, left, now)
    return count


def deliver(db: Database, home: Home, *, now: datetime, post: Post = outgoing.post) -> int:
    """Tell what is due; returns how many were taken. Any number of processes may do it at once."""
    with db.read() as session:
        due = store.due(session, now, _AT_ONCE)
        urls = {found.id: found for found in store.addresses(session)}
    taken = 0
    for notice in due:
        address = urls.get(notice.address_id)
        with db.write() as session:
            secret = store.secret_of(session, notice.address_id)
            if address is None or secret is None or not store.claim(session, notice, now + _LEASE):
                continue
        body, headers = signed(notice, _opened(home, secret), now)
        try:
            status = post(address.url, body, headers)
            taken += _answered(db, notice, status, now)
        except PigeonryError as error:
            again = isinstance(error, OutsideFailure) and error.transient
            _failed(db, notice, error.what, now, again=again)
    return taken


def forget_old(db: Database, *, now: datetime) -> None:
    with db.write() as session:
        store.forget(session, now - _KEPT)


def signed(notice: Notice, secret: bytes, now: datetime) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a notice, as standardwebhooks.com has them."""
    said = {
        "type": notice.kind.value,
        "timestamp": notice.at.astimezone(UTC).isoformat(),
        "data": dict(notice.facts),
    }
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    name, moment = f"msg_{notice.address_id}_{notice.id}", str(int(now.timestamp()))
    tag = hmac.digest(secret, f"{name}.{moment}.".encode() + body, "sha256")
    return body, {
        "Content-Type": "application/json",
        "User-Agent": f"Pigeonry/{__version__}",
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(tag).decode()}",
    }


def _fresh(session: Session, address: NoticeAddress, now: datetime) -> list[News]:
    since = max(address.created_at, now - _BACK)
    found: list[News] = []
    if NoticeKind.CAMPAIGN_FINISHED in address.kinds:
        found += store.finished_campaigns(session, since)
    if NoticeKind.MESSAGES_PARKED in address.kinds:
        found += store.parked_messages(session, now)
    if NoticeKind.LEAD_SUPPRESSED in address.kinds:
        found += store.suppressed_leads(session, since)
    if NoticeKind.DRIFT in address.kinds:
        found += store.drifted(session, since)
    told = store.known(session, address.id, [one.key for one in found])
    return sorted((one for one in found if one.key not in told), key=lambda one: one.at)[
        :_MOST_NEWS
    ]


def _answered(db: Database, notice: Notice, status: int, now: datetime) -> int:
    if 200 <= status < 300:
        with db.write() as session:
            store.settle(
                session, notice.id, NoticeState.SENT, answer=str(status), next_at=now, sent_at=now
            )
        return 1
    if status == _GONE:
        with db.write() as session:
            store.stop_address(session, notice.address_id, now)
    _failed(db, notice, f"answered {status}", now, again=status != _GONE)
    return 0


def _failed(db: Database, notice: Notice, why: str, now: datetime, *, again: bool) -> None:
    more = again and notice.attempts < len(_WAITS)
    with db.write() as session:
        store.settle(
            session,
            notice.id,
            NoticeState.WAITING if more else NoticeState.FAILED,
            answer=why,
            next_at=now + _WAITS[notice.attempts] if more else now,
        )


def _sealed(home: Home, secret: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + _box(home).encrypt(nonce, secret, b"notices")


def _opened(home: Home, sealed: bytes) -> bytes:
    return _box(home).decrypt(sealed[:12], sealed[12:], b"notices")


def _box(home: Home) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(home.secret(KEY))
