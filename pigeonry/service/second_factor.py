"""The second factor: six digits of a time-based code (RFC 6238), and recovery codes for a lost phone. Its
secret is kept encrypted with a key that is not in the database."""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from pigeonry.config import Home
from pigeonry.errors import WrongUse
from pigeonry.service import audit
from pigeonry.store import operators as store
from pigeonry.store import sign_ins
from pigeonry.store.operators import Credentials
from pigeonry.store.session import Database, Session

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = "second-factor.key"
_STEP = 30  # seconds that a code is good for
_DRIFT = (0, -1, 1)  # steps that a phone's clock may be off
_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as something else


@dataclass(frozen=True, slots=True)
class Offer:
    """A secret that nobody has confirmed yet: `sealed` comes back with the first code."""

    secret: str
    uri: str
    sealed: str


def offer(home: Home, operator_id: int, email: str) -> Offer:
    """A fresh secret for an authenticator app."""
    import pyotp

    secret = pyotp.random_base32()
    uri = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Pigeonry")
    return Offer(secret, uri, _sealed(home, operator_id, secret).hex())


def offered(home: Home, operator_id: int, email: str, sealed: str) -> Offer:
    """The same offer again, after a wrong code. Raises WrongUse for one that we did not make."""
    import pyotp

    try:
        secret = _opened(home, operator_id, bytes.fromhex(sealed))
    except Exception as error:  # cryptography's InvalidTag says nothing more
        raise WrongUse("start again: that secret is not one of ours", where="code") from error
    uri = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Pigeonry")
    return Offer(secret, uri, sealed)


def switch_on(
    db: Database, home: Home, operator_id: int, made: Offer, code: str, *, keep: str, now: datetime
) -> list[str]:
    """From now on signing in asks for a code; returns recovery codes, shown this once. Every sign-in but
    `keep` ends. Raises WrongUse for a wrong code."""
    step = _step_of(made.secret, code, now)
    if step is None:
        raise WrongUse("that is not the code of this moment", where="code")
    codes = ["-".join(_word(4) for _ in range(4)) for _ in range(_CODES)]
    with db.write() as session:
        store.set_second_factor(
            session,
            operator_id,
            _sealed(home, operator_id, made.secret),
            [_hash(code) for code in codes],
        )
        store.use_totp_step(session, operator_id, step)
        sign_ins.end_all(session, operator_id, but=keep)
        actor = f"operator:{operator_id}"
        audit.note(
            session,
            home,
            actor=actor,
            action="operator.second_factor",
            subject=actor,
            now=now,
            on=True,
        )
    return codes


def switch_off(
    db: Database, home: Home, operator_id: int, *, by: str, keep: str = "", now: datetime
) -> None:
    with db.write() as session:
        store.set_second_factor(session, operator_id, None, [])
        sign_ins.end_all(session, operator_id, but=keep)
        audit.note(
            session,
            home,
            actor=by,
            action="operator.second_factor",
            subject=f"operator:{operator_id}",
            now=now,
            on=False,
        )


def right(session: Session, home: Home, known: Credentials, code: str, now: datetime) -> bool:
    """Whether it is the code of this moment, or a recovery code that is left. Either counts once."""
    if known.totp is None:
        return True
    operator_id = known.operator.id
    digits = "".join(code.split())
    if digits.isascii() and digits.isdigit():
        step = _step_of(_opened(home, operator_id, known.totp), digits, now)
        return step is not None and store.use_totp_step(session, operator_id, step)
    used = _hash(code.strip().lower())
    left = [kept for kept in known.recovery if not hmac.compare_digest(kept, used)]
    if len(left) == len(known.recovery):
        return False
    store.set_recovery(session, operator_id, left)
    return True


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    import pyotp

    moment = int(now.timestamp()) // _STEP
    wanted = "".join(code.split()).encode()
    for drift in _DRIFT:
        if hmac.compare_digest(pyotp.TOTP(secret).at((moment + drift) * _STEP).encode(), wanted):
            return moment + drift
    return None


def _word(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def _sealed(home: Home, operator_id: int, secret: str) -> bytes:
    nonce = os.urandom(12)
    return nonce + _box(home).encrypt(nonce, secret.encode(), str(operator_id).encode())


def _opened(home: Home, operator_id: int, sealed: bytes) -> str:
    return _box(home).decrypt(sealed[:12], sealed[12:], str(operator_id).encode()).decode()


def _box(home: Home) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(home.secret(KEY))
