"""Signing in and out. The browser holds 256 random bits, the database their hash, so that a sign-in can be
ended at any moment and a copy of the database signs nobody in."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from pigeonry.config import Home
from pigeonry.domain.address import canonical_email
from pigeonry.domain.operator import Operator, SignIn
from pigeonry.errors import Refused
from pigeonry.service import audit, passwords, second_factor
from pigeonry.store import operators, sign_ins
from pigeonry.store.operators import Credentials
from pigeonry.store.session import Database, Session

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
CODE_WITHIN = timedelta(minutes=5)
_SEEN_EVERY = timedelta(minutes=1)  # not each request has to write
_STRETCH = timedelta(minutes=15)
# Failures in a stretch: of one account from one network, of one account, from one network.
_MOST_HERE, _MOST_OF_ACCOUNT, _MOST_OF_NETWORK = 8, 40, 40
KEY = "sign-in.key"


class NotSignedIn(Refused):
    """Wrong address, password or code: never which of them. `throttled` when nothing was even tried."""

    code = "not_signed_in"

    def __init__(self, *, throttled: bool = False) -> None:
        self.throttled = throttled
        super().__init__("too many attempts, wait 15 minutes" if throttled else "that does not fit")


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody signs in from."""

    network: str
    agent: str


@dataclass(frozen=True, slots=True)
class Entered:
    """Signed in: `token` goes into the cookie. Or, with a `ticket` instead, the code is still missing."""

    operator: Operator
    token: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class Current:
    """Whose browser it is."""

    operator: Operator
    sign_in: SignIn


def enter(
    db: Database, home: Home, *, email: str, password: str, place: Place, now: datetime
) -> Entered:
    """Sign in with a password. Raises NotSignedIn."""
    try:
        address = canonical_email(email)
    except ValueError:
        address = ""
    keys = _keys(home, address, place.network)
    with db.read() as session:
        _refuse_throttled(session, keys, now)
        known = operators.credentials(session, address) if address else None
    fits = passwords.right(known.password_hash if known else "", password)
    if known is None or not fits or known.operator.disabled_at is not None:
        _failed(db, home, known, keys, now)
        raise NotSignedIn
    if known.totp is not None:
        return Entered(known.operator, ticket=_ticket(home, known, now + CODE_WITHIN))
    if passwords.outdated(known.password_hash):
        with db.write() as session:
            operators.set_password(session, known.operator.id, passwords.hashed(password))
    with db.write() as session:
        token = _signed_in(session, home, known.operator, keys, place, now)
    return Entered(known.operator, token)


def enter_code(
    db: Database, home: Home, *, ticket: str, code: str, place: Place, now: datetime
) -> Entered:
    """The second step: `ticket` from the first, and the code. Raises NotSignedIn."""
    with db.write() as session:
        known = _ticket_holder(session, home, ticket, now)
        if known is None:
            raise NotSignedIn
        keys = _keys(home, known.operator.email, place.network)
        _refuse_throttled(session, keys, now)
        if second_factor.right(session, home, known, code, now):
            token = _signed_in(session, home, known.operator, keys, place, now)
            return Entered(known.operator, token)
    _failed(db, home, known, keys, now)
    raise NotSignedIn


def enter_by_link(
    db: Database, home: Home, operator: Operator, *, place: Place, now: datetime
) -> Entered:
    """Somebody who just chose a password with a one-time link."""
    keys = _keys(home, operator.email, place.network)
    with db.write() as session:
        return Entered(operator, _signed_in(session, home, operator, keys, place, now))


def current(db: Database, token: str, *, now: datetime) -> Current | None:
    """Whose token it is; None when it ended, was idle for too long, or its operator is disabled."""
    with db.read() as session:
        found = sign_ins.find(session, hashed(token))
        if found is None or now >= found.expires_at or now - found.seen_at >= IDLE:
            return None
        operator = operators.by_id(session, found.operator_id)
    if operator is None or operator.disabled_at is not None:
        return None
    if now - found.seen_at >= _SEEN_EVERY:
        with db.write() as session:
            sign_ins.seen(session, found.id_hash, now)
    return Current(operator, found)


def leave(db: Database, home: Home, who: Current, *, now: datetime) -> None:
    """Sign out here."""
    with db.write() as session:
        sign_ins.end(session, who.sign_in.id_hash)
        audit.note(session, home, actor=who.operator.actor, action="sign_out", now=now)


def leave_everywhere(
    db: Database, home: Home, operator_id: int, *, by: str, keep: str = "", now: datetime
) -> int:
    """End an operator's sign-ins, all but `keep`; returns how many."""
    with db.write() as session:
        ended = sign_ins.end_all(session, operator_id, but=keep)
        audit.note(
            session,
            home,
            actor=by,
            action="sign_out.everywhere",
            subject=f"operator:{operator_id}",
            now=now,
            ended=ended,
        )
    return ended


def everywhere(db: Database, operator_id: int) -> list[SignIn]:
    """Where an operator is signed in, latest first."""
    with db.read() as session:
        return sign_ins.of(session, operator_id)


def hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _signed_in(
    session: Session,
    home: Home,
    operator: Operator,
    keys: tuple[tuple[str, int], ...],
    place: Place,
    now: datetime,
) -> str:
    token = secrets.token_urlsafe(32)
    sign_ins.forget_old(session, now=now, idle_since=now - IDLE)
    sign_ins.add(
        session,
        SignIn(
            hashed(token), operator.id, now, now, now + ABSOLUTE, place.network, place.agent[:200]
        ),
    )
    sign_ins.forget_failures(session, keys[0][0])
    operators.set_signed_in(session, operator.id, now)
    audit.note(session, home, actor=operator.actor, action="sign_in", now=now)
    return token


def _keys(home: Home, address: str, network: str) -> tuple[tuple[str, int], ...]:
    """Under what an attempt is counted, and how often it may fail: hashes, so that nobody's address
    stands there."""
    key = home.secret(KEY)

    def named(*parts: str) -> str:
        return hmac.new(key, "\n".join(("throttle", *parts)).encode(), "sha256").hexdigest()

    return (
        (named("here", address, network), _MOST_HERE),
        (named("account", address), _MOST_OF_ACCOUNT),
        (named("network", network), _MOST_OF_NETWORK),
    )


def _refuse_throttled(session: Session, keys: tuple[tuple[str, int], ...], now: datetime) -> None:
    for key, most in keys:
        if sign_ins.failures(session, key, now - _STRETCH) >= most:
            raise NotSignedIn(throttled=True)


def _failed(
    db: Database,
    home: Home,
    known: Credentials | None,
    keys: tuple[tuple[str, int], ...],
    now: datetime,
) -> None:
    with db.write() as session:
        for key, _ in keys:
            sign_ins.add_failure(session, key, now=now, since=now - _STRETCH)
        subject = known.operator.actor if known else "nobody"
        audit.note(
            session, home, actor="anonymous", action="sign_in.failed", subject=subject, now=now
        )


def _ticket(home: Home, known: Credentials, until: datetime) -> str:
    said = f"{known.operator.id}.{int(until.timestamp())}"
    return f"{said}.{_ticket_tag(home, said, known)}"


def _ticket_tag(home: Home, said: str, known: Credentials) -> str:
    """Bound to the password, so that a changed one makes it worthless."""
    whole = f"ticket\n{said}\n{known.password_hash}".encode()
    return hmac.new(home.secret(KEY), whole, "sha256").hexdigest()


def _ticket_holder(session: Session, home: Home, ticket: str, now: datetime) -> Credentials | None:
    number, _, rest = ticket.partition(".")
    until, _, tag = rest.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        return None
    known = operators.credentials_of(session, int(number))
    if known is None or known.operator.disabled_at is not None or not known.password_hash:
        return None
    if not hmac.compare_digest(tag, _ticket_tag(home, f"{number}.{until}", known)):
        return None
    return known if int(until) > now.timestamp() else None
