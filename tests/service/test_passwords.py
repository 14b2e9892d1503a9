"""Which passwords are good enough."""

from __future__ import annotations

import pytest

from pigeonry.service import passwords
from pigeonry.service.passwords import WeakPassword


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "short"),
        ("x" * 129, "long"),
        ("abababababab", "repeated"),
        ("123456789012", "common"),
        ("password1234", "common"),
        ("Parola!123456", "common"),
        ("1q2w3e4r5t6y7u8i", "common"),
        ("qwertyuiop12", "common"),
        ("letmeinletmein", "common"),
        ("anapopescu2026", "personal"),
    ],
)
def test_what_everybody_tries_first_is_refused(password: str, reason: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        passwords.refuse_weak(password, email="anapopescu@example.com", name="Ana Popescu")
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "password", ["corect cal baterie agrafa", "Șapte-țări şi 3 zmei", "x7#kQ9!vLm2@"]
)
def test_length_and_rarity_are_enough(password: str) -> None:
    passwords.refuse_weak(password, email="ana@example.com", name="Ana")


def test_a_hash_is_argon2id_and_knows_its_password() -> None:
    kept = passwords.hashed("corect cal baterie agrafa")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert passwords.right(kept, "corect cal baterie agrafa")
    assert not passwords.right(kept, "corect cal baterie agraf")
    assert not passwords.right("", "corect cal baterie agrafa")
    assert not passwords.outdated(kept)
