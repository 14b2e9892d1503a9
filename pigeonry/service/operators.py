"""Who may sign in: adding, changing and disabling operators, and the one-time links that let them choose a
password."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from pigeonry.config import Home
from pigeonry.domain.address import canonical_email
from pigeonry.domain.operator import Operator, Role
from pigeonry.errors import NotFound, Refused, WrongUse
from pigeonry.service import audit, passwords
from pigeonry.store import operators as store
from pigeonry.store import sign_ins
from pigeonry.store.session import Database

FIRST_LINK = timedelta(minutes=15)
LATER_LINK = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whose link it is; nobody's when it makes the first operator."""

    operator: Operator | None


def nobody_yet(db: Database) -> bool:
    """Whether no operator has ever chosen a password."""
    with db.read() as session:
        return not store.any_operator(session)


def every(db: Database) -> list[Operator]:
    with db.read() as session:
        return store.every(session)


def find(db: Database, operator_id: int) -> Operator:
    with db.read() as session:
        found = store.by_id(session, operator_id)
    if found is None:
        raise NotFound("there is no such operator", where=str(operator_id))
    return found


def named(db: Database, email: str) -> Operator:
    with db.read() as session:
        found = store.by_email(session, canonical_email(email))
    if found is None:
        raise NotFound(
            "there is no operator with that address", fix="see `pigeonry operators list`"
        )
    return found


def add(
    db: Database, home: Home, *, name: str, email: str, role: Role, by: str, now: datetime
) -> Operator:
    """An operator without a password: `link` lets them choose one."""
    address, called = _address(email), _name(name)
    with db.write() as session:
        if store.by_email(session, address) is not None:
            raise WrongUse("an operator has that address already", where="email")
        made = store.add(session, name=called, email=address, role=role, at=now)
        audit.note(
            session, home, actor=by, action="operator.added", subject=made.actor, now=now, role=role
        )
    return made


def change_role(
    db: Database, home: Home, operator_id: int, role: Role, *, by: str, now: datetime
) -> None:
    """A new role ends every sign-in. Refused for the last admin."""
    with db.write() as session:
        found = _known(store.by_id(session, operator_id), operator_id)
        if found.role is role:
            return
        if found.role is Role.ADMIN:
            _refuse_last_admin(store.others_who_administer(session, operator_id))
        store.set_role(session, operator_id, role)
        sign_ins.end_all(session, operator_id)
        audit.note(
            session, home, actor=by, action="operator.role", subject=found.actor, now=now, role=role
        )


def disable(
    db: Database, home: Home, operator_id: int, *, disabled: bool = True, by: str, now: datetime
) -> None:
    """Nobody signs in as them, and their tokens stop working. Refused for the last admin."""
    with db.write() as session:
        found = _known(store.by_id(session, operator_id), operator_id)
        if disabled and found.role is Role.ADMIN:
            _refuse_last_admin(store.others_who_administer(session, operator_id))
        store.set_disabled(session, operator_id, now if disabled else None)
        sign_ins.end_all(session, operator_id)
        action = "operator.disabled" if disabled else "operator.enabled"
        audit.note(session, home, actor=by, action=action, subject=found.actor, now=now)


def first_link(db: Database, home: Home, *, now: datetime) -> str:
    """The token of the link that makes the first operator; the one before stops working."""
    return _link(db, home, None, by="system", now=now, lives=FIRST_LINK)


def link(db: Database, home: Home, operator_id: int, *, by: str, now: datetime) -> str:
    """The token of a link with which that operator chooses a password, and gets rid of a lost second
    factor."""
    return _link(db, home, operator_id, by=by, now=now, lives=LATER_LINK)


def invitation(db: Database, token: str, *, now: datetime) -> Invitation | None:
    """What a link is for; None when it was used, is too old, or was never made. Looking does not use it."""
    with db.read() as session:
        found = sign_ins.find_link(session, _hash(token), now)
        if found is None:
            return None
        if found.operator_id is None:
            return None if store.any_operator(session) else Invitation(None)
        operator = store.by_id(session, found.operator_id)
    return Invitation(operator) if operator and operator.disabled_at is None else None


def accept(
    db: Database,
    home: Home,
    token: str,
    *,
    password: str,
    name: str = "",
    email: str = "",
    now: datetime,
) -> Operator | None:
    """Use a link: the first operator becomes admin; any other gets the new password, and everything that
    was signed in with the old one ends. None when the link is no longer good.

    Raises WeakPassword or WrongUse, and the link stays good.
    """
    invited = invitation(db, token, now=now)
    if invited is None:
        return None
    operator = invited.operator
    address = operator.email if operator else _address(email)
    called = operator.name if operator else _name(name)
    passwords.refuse_weak(password, email=address, name=called)
    password_hash = passwords.hashed(password)
    with db.write() as session:
        if not sign_ins.use_link(session, _hash(token), now):
            return None
        if operator is None:
            if store.any_operator(session):
                return None
            operator = store.by_email(session, address) or store.add(
                session, name=called, email=address, role=Role.ADMIN, at=now
            )
            store.set_role(session, operator.id, Role.ADMIN)
        store.set_password(session, operator.id, password_hash)
        store.set_second_factor(session, operator.id, None, [])
        sign_ins.end_all(session, operator.id)
        audit.note(
            session,
            home,
            actor=operator.actor,
            action="operator.password",
            subject=operator.actor,
            now=now,
            how="link",
        )
    return find(db, operator.id)


def confirm_password(db: Database, operator_id: int, password: str) -> None:
    """Raises WrongUse when it is not theirs: before something that a browser left open must not do."""
    with db.read() as session:
        known = store.credentials_of(session, operator_id)
    if known is None or not passwords.right(known.password_hash, password):
        raise WrongUse("that is not the current password", where="current")


def change_password(
    db: Database,
    home: Home,
    operator_id: int,
    *,
    current: str,
    new: str,
    keep: str = "",
    now: datetime,
) -> None:
    """Raises WrongUse for a wrong current password, WeakPassword for a weak new one. Every sign-in but
    `keep` (its hash) ends."""
    confirm_password(db, operator_id, current)
    operator = find(db, operator_id)
    passwords.refuse_weak(new, email=operator.email, name=operator.name)
    password_hash = passwords.hashed(new)
    with db.write() as session:
        store.set_password(session, operator_id, password_hash)
        sign_ins.end_all(session, operator_id, but=keep)
        actor = operator.actor
        audit.note(
            session,
            home,
            actor=actor,
            action="operator.password",
            subject=actor,
            now=now,
            how="changed",
        )


def _link(
    db: Database,
    home: Home,
    operator_id: int | None,
    *,
    by: str,
    now: datetime,
    lives: timedelta,
) -> str:
    token = secrets.token_urlsafe(32)
    with db.write() as session:
        subject = "first operator"
        if operator_id is not None:
            subject = _known(store.by_id(session, operator_id), operator_id).actor
        sign_ins.add_link(
            session, _hash(token), operator_id=operator_id, at=now, expires_at=now + lives
        )
        audit.note(session, home, actor=by, action="operator.link", subject=subject, now=now)
    return token


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _known(found: Operator | None, operator_id: int) -> Operator:
    if found is None:
        raise NotFound("there is no such operator", where=str(operator_id))
    return found


def _refuse_last_admin(others: int) -> None:
    if not others:
        raise Refused("this is the last admin", where="role", fix="make somebody else admin first")


def _address(email: str) -> str:
    try:
        return canonical_email(email)
    except ValueError as error:
        raise WrongUse("that is no e-mail address", where="email") from error


def _name(name: str) -> str:
    called = " ".join(name.split())
    if not 1 <= len(called) <= 200:
        raise WrongUse("a name has 1 to 200 characters", where="name")
    return called
