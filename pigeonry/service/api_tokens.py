"""Tokens of the API: made and shown once, used within their scopes and their owner's role, and the promise that
a creation that is sent twice happens once."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from pigeonry.config import Home
from pigeonry.domain.operator import ALLOWED, NEEDS, STRONG, ApiToken, Operator, Scope
from pigeonry.errors import NotFound, Refused, WrongUse
from pigeonry.service import audit
from pigeonry.store import api_tokens as store
from pigeonry.store import operators
from pigeonry.store.api_tokens import Answer
from pigeonry.store.session import Database

LONGEST_DAYS = 365
_PREFIX = "pgn_"  # so that scanners of code find a token that somebody left there
_USED_EVERY = timedelta(minutes=1)
_ANSWERS_KEPT = timedelta(hours=24)
_UNDER_WAY = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is."""

    token: ApiToken
    operator: Operator

    @property
    def actor(self) -> str:
        return f"token:{self.token.id}"

    def may(self, scope: Scope) -> bool:
        """A token does what its scopes say, as long as its owner's role still allows it. The scope
        `admin` stands for all of them."""
        given = scope in self.token.scopes or Scope.ADMIN in self.token.scopes
        return given and self.operator.may(NEEDS[scope])


def make(
    db: Database,
    home: Home,
    operator: Operator,
    *,
    name: str,
    scopes: tuple[Scope, ...],
    days: int,
    now: datetime,
) -> tuple[ApiToken, str]:
    """A token and its text, which is shown this once. Raises WrongUse, and Refused for a scope that the
    operator's own role does not reach."""
    called = " ".join(name.split())
    if not 1 <= len(called) <= 100:
        raise WrongUse("a token has a name of 1 to 100 characters", where="name")
    if not 1 <= days <= LONGEST_DAYS:
        raise WrongUse(f"a token lives 1 to {LONGEST_DAYS} days", where="days")
    if not scopes:
        raise WrongUse("a token needs a scope", where="scopes")
    beyond = [scope for scope in scopes if NEEDS[scope] not in ALLOWED[operator.role]]
    if beyond:
        raise Refused(f"your role does not reach {', '.join(beyond)}", where="scopes")
    required = home.settings.web.second_factor == "required" and not operator.second_factor
    if required and any(NEEDS[scope] in STRONG for scope in scopes):
        raise Refused(
            "that scope needs your second factor",
            where="second_factor",
            fix="switch it on under your name",
        )
    prefix, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
    with db.write() as session:
        made = store.add(
            session,
            operator_id=operator.id,
            name=called,
            prefix=prefix,
            secret_hash=_hash(secret),
            scopes=tuple(dict.fromkeys(scopes)),
            at=now,
            expires_at=now + timedelta(days=days),
        )
        audit.note(
            session,
            home,
            actor=operator.actor,
            action="token.made",
            subject=f"token:{made.id}",
            now=now,
            scopes=" ".join(made.scopes),
            days=days,
        )
    return made, f"{_PREFIX}{prefix}.{secret}"


def every(db: Database) -> list[ApiToken]:
    with db.read() as session:
        return store.every(session)


def revoke(db: Database, home: Home, token_id: int, *, by: str, now: datetime) -> None:
    with db.write() as session:
        if not store.revoke(session, token_id, now):
            raise NotFound("there is no such token, or it is revoked already", where=str(token_id))
        audit.note(
            session, home, actor=by, action="token.revoked", subject=f"token:{token_id}", now=now
        )


def caller(db: Database, text: str, *, now: datetime) -> Caller | None:
    """Whose token that is; None for one that is wrong, over, revoked, or whose owner is disabled."""
    prefix, _, secret = text.removeprefix(_PREFIX).partition(".")
    if not text.startswith(_PREFIX) or not (4 < len(prefix) <= 16) or len(secret) > 100:
        return None
    with db.read() as session:
        found = store.with_secret(session, prefix)
        if found is None or not hmac.compare_digest(found[1], _hash(secret)):
            return None
        token = found[0]
        if token.revoked_at is not None or now >= token.expires_at:
            return None
        operator = operators.by_id(session, token.operator_id)
    if operator is None or operator.disabled_at is not None:
        return None
    if token.last_used_at is None or now - token.last_used_at >= _USED_EVERY:
        with db.write() as session:
            store.used(session, token.id, now)
    return Caller(token, operator)


def begin_once(
    db: Database, who: Caller, key: str, request: bytes, *, now: datetime
) -> Answer | None:
    """Take an idempotency key. None: go on, and say `ended`. An answer: it was done before.

    Raises Refused while the first request with that key is under way, WrongUse for another request with
    the same key.
    """
    digest = sha256(request).hexdigest()
    with db.write() as session:
        store.forget_answers(session, now - _ANSWERS_KEPT)
        if store.take_key(session, who.token.id, key, Answer(digest, _UNDER_WAY, ""), now):
            return None
        known = store.answer(session, who.token.id, key)
    if known is None:  # the first one failed just now
        raise Refused("try that again", where="Idempotency-Key")
    if known.request_hash != digest:
        raise WrongUse("that key was used for another request", where="Idempotency-Key")
    if known.status == _UNDER_WAY:
        raise Refused(
            "the first request with that key has not been answered",
            where="Idempotency-Key",
            fix="look whether it was done; a new key begins anew",
        )
    return known


def ended(db: Database, who: Caller, key: str, *, status: int, made: str, now: datetime) -> None:
    """Keep what was answered; a request that failed (`made` "") may be sent again under its key."""
    with db.write() as session:
        if made:
            store.settle_answer(session, who.token.id, key, status, made)
        else:
            store.drop_answer(session, who.token.id, key)


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
