"""Passwords: which are good enough, and how they are kept. Argon2id; two are worked out at a time, because
each takes 64 MB for a moment."""

from __future__ import annotations

import functools
import importlib.resources
import re
import threading
from typing import TYPE_CHECKING

from pigeonry.errors import OutsideFailure, WrongUse

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 128
_FEWEST_DIFFERENT = 5
_MEMORY_KB, _ROUNDS = 65_536, 3
_PATIENCE = 10.0  # seconds that a sign-in waits for its turn

_at_once = threading.BoundedSemaphore(2)


class WeakPassword(WrongUse):
    """A password that is refused. `reason` is a word of its own, so that a page can say it in its
    language: short, long, common, repeated, personal."""

    code = "weak_password"

    def __init__(self, reason: str, what: str) -> None:
        self.reason = reason
        super().__init__(what, where="password", fix="choose a longer one, e.g. four random words")


def refuse_weak(password: str, *, email: str = "", name: str = "") -> None:
    """Raise WeakPassword. No rule about kinds of characters: length and rarity are what counts."""
    if len(password) < SHORTEST:
        raise WeakPassword("short", f"a password has at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise WeakPassword("long", f"a password has at most {LONGEST} characters")
    if len(set(password)) < _FEWEST_DIFFERENT:
        raise WeakPassword("repeated", "that repeats a few characters")
    lowered = password.casefold()
    letters = re.sub(r"[\W\d_]", "", lowered)
    if not letters or letters in _common() or _halves_are_common(letters):
        raise WeakPassword("common", "that is one of the passwords that everybody tries first")
    for own in (email.casefold().partition("@")[0], *name.casefold().split()):
        if len(own) > 3 and own in lowered and len(lowered.replace(own, "")) < 8:
            raise WeakPassword("personal", "that is little more than a name")


def hashed(password: str) -> str:
    with _Turn():
        return _hasher().hash(password)


def right(password_hash: str, password: str) -> bool:
    """Whether it is the password. Takes as long for somebody who does not exist (an empty hash)."""
    from argon2.exceptions import InvalidHashError, VerificationError

    with _Turn():
        try:
            return _hasher().verify(password_hash or _nobody(), password[:LONGEST]) and bool(
                password_hash
            )
        except (VerificationError, InvalidHashError):
            return False


def outdated(password_hash: str) -> bool:
    """Whether it was made with weaker parameters than today's."""
    return _hasher().check_needs_rehash(password_hash)


class _Turn:
    def __enter__(self) -> None:
        if not _at_once.acquire(timeout=_PATIENCE):
            raise OutsideFailure("too many sign-ins at once", where="sign-in", transient=True)

    def __exit__(self, *_error: object) -> None:
        _at_once.release()


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_ROUNDS, memory_cost=_MEMORY_KB, parallelism=1)


@functools.cache
def _nobody() -> str:
    return _hasher().hash("nobody has this password")


def _halves_are_common(letters: str) -> bool:
    half = letters[: len(letters) // 2]
    return half * 2 == letters and half in _common()


@functools.cache
def _common() -> frozenset[str]:
    file = importlib.resources.files("pigeonry.templates") / "web" / "common-passwords.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))
