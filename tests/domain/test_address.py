"""The canonical address: one spelling a mailbox, a plain reason for everything that is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeonry.domain import address
from pigeonry.domain.address import address_hash, canonical_email


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("  Ion.Popescu@Example.COM ", "ion.popescu@example.com"),
        ("\u00a0ion@example.com\r\n", "ion@example.com"),
        ("ion+tag@example.com", "ion+tag@example.com"),
        ("ana@școala.example", "ana@xn--coala-e9b.example"),
        ("ana@xn--coala-e9b.example", "ana@xn--coala-e9b.example"),
        ("s\u0326tefan@example.ro", "ștefan@example.ro"),
        ("o'brien@example.ie", "o'brien@example.ie"),
        ("jürgen@example.de", "jürgen@example.de"),
        ("用户@例子.example", "用户@xn--fsqu00a.example"),
    ],
)
def test_one_mailbox_has_one_spelling(typed: str, canonical: str) -> None:
    assert canonical_email(typed) == canonical
    assert canonical_email(canonical) == canonical


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "no address"),
        ("ion", "no @"),
        ("ion@", "after the @"),
        ("@example.com", "before the @"),
        ("a@b", "period"),
        ("a@localhost", "not valid|period|special"),
        ("a@x.localhost", "special"),
        ("a@x.test", "special"),
        ("a@[127.0.0.1]", "IP address"),
        ("a@127.0.0.1", "IP address"),
        ('"a b"@example.ro', "Quoting"),
        ("a@example.com, b@example.com", "more than one"),
        ("a@example.com;b@example.com", "more than one"),
        ("a@example.com b@example.com", "more than one"),
        ("Ion <ion@example.com>", "display name"),
        ("a..b@example.com", "period"),
        (".a@example.com", "period"),
        ("a b@example.com", "SPACE"),
        ("a" * 65 + "@example.com", "too long"),
        ("a@" + "b" * 60 + "." + ("c" * 60 + ".") * 4 + "com", "too long"),
        ("a\u200bb@example.com", "invisible"),
        ("a\u202eb@example.com", "invisible"),
        ("a\u00adb@example.com", "invisible"),
        ("a\nb@example.com", "invisible"),
        ("a\x00b@example.com", "invisible"),
        ("mıke@example.com", "imitates"),
        ("ſam@example.com", "imitates"),
        ("\u212aim@example.com", "imitates"),
        ("ｍike@example.com", "imitates"),
        ("mike@ｅxample.com", "imitates"),
        ("mike@exаmple.com", "mixes scripts"),
        ("mіke@example.com", "mixes scripts"),
        ("mike@соре.com", "imitate"),
        ("mike@xn--e1argc3h.com", "imitate"),
        ("a@-example.com", "hyphen|cannot"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        canonical_email(typed)


_LOCAL = st.text("abcXYZ019_+-.'!#", min_size=0, max_size=66)
_LABEL = st.text("abXY09-", min_size=0, max_size=35)
_TOP = st.sampled_from(
    ["com", "RO", "test", "local", "arpa", "x", "c0m", "onion", "example", "co.uk"]
)
_ADDRESS = st.builds(
    lambda local, labels, top: f"{local}@{'.'.join([*labels, top])}",
    _LOCAL,
    st.lists(_LABEL, min_size=0, max_size=7),
    _TOP,
)


@settings(max_examples=500, deadline=None)
@given(st.one_of(_ADDRESS, st.emails(), st.text(max_size=40), st.text("a.@-", max_size=12)))
def test_the_fast_path_says_what_the_slow_path_says(text: str) -> None:
    assert _outcome(canonical_email, text) == _outcome(address._checked, text.strip())


@settings(max_examples=150, deadline=None)
@given(st.one_of(_ADDRESS, st.emails()))
def test_a_canonical_address_is_its_own_canonical_spelling(text: str) -> None:
    found = _outcome(canonical_email, text)
    if not found.startswith("refused"):
        assert canonical_email(found) == found


def _outcome(function: object, text: str) -> str:
    try:
        return function(text)  # type: ignore[operator, no-any-return]
    except ValueError as error:
        return f"refused: {error}"


def test_the_hash_depends_on_the_key_and_only_on_the_address() -> None:
    one = address_hash("ion@example.com", b"k" * 32)
    assert one == address_hash(canonical_email(" ION@example.com"), b"k" * 32)
    assert one != address_hash("ion@example.com", b"j" * 32)
    assert len(one) == 64
