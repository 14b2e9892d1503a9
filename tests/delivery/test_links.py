"""Unsubscribe tokens: tolerant in reading, strict in the signature."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest

from pigeonry.config import Home
from pigeonry.delivery.links import Links, UnsubscribeToken, load_links

LINKS = Links("https://mail.example.com/", {1: b"1" * 32})
TOKEN = LINKS.unsubscribe_token(123456, 42)


def test_a_token_names_its_lead_and_campaign() -> None:
    assert LINKS.verify(TOKEN) == UnsubscribeToken(123456, 42, 1)
    assert LINKS.unsubscribe_url(123456, 42) == f"https://mail.example.com/u/{TOKEN}"


@pytest.mark.parametrize(
    "mangled",
    [
        TOKEN.upper(),
        f"https://mail.example.com/u/{TOKEN}",
        f"https://mail.example.com/u/{TOKEN}&amp;utm_source=x",
        quote(f"https://mail.example.com/u/{TOKEN}?x=1", safe=""),
        quote(quote(f"u/{TOKEN}", safe=""), safe=""),
        f"<{TOKEN}>",
        f"unsubscribe {TOKEN}",
        f"  {TOKEN}\r\n",
    ],
)
def test_what_mail_clients_do_to_a_link_does_not_break_it(mangled: str) -> None:
    assert LINKS.verify(mangled) == UnsubscribeToken(123456, 42, 1)


@pytest.mark.parametrize(
    "bad", ["", "x", TOKEN[:-1], TOKEN[1:], TOKEN + "a", "\x00" * 44, "ș" * 44]
)
def test_a_cut_or_foreign_token_is_nobodys(bad: str) -> None:
    assert LINKS.verify(bad) is None


def test_no_mutated_token_is_accepted() -> None:
    lot = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    for _ in range(10_000):
        token = list(TOKEN)
        for place in lot.sample(range(len(token)), lot.randint(1, 4)):
            token[place] = lot.choice(letters)
        text = "".join(token)
        assert text == TOKEN or LINKS.verify(text) is None


def test_a_token_of_another_installation_is_not_ours() -> None:
    other = Links("https://mail.example.com", {1: b"2" * 32})
    assert LINKS.verify(other.unsubscribe_token(123456, 42)) is None


def test_an_old_key_still_verifies_after_a_new_one_signs() -> None:
    rotated = Links("https://mail.example.com", {1: b"1" * 32, 2: b"2" * 32})
    assert rotated.verify(TOKEN) == UnsubscribeToken(123456, 42, 1)
    fresh = rotated.unsubscribe_token(5, 6)
    assert rotated.verify(fresh) == UnsubscribeToken(5, 6, 2)
    assert LINKS.verify(fresh) is None


def test_a_home_keeps_its_key_and_takes_the_next_number(home: Home) -> None:
    token = load_links(home).unsubscribe_token(1, 2)
    assert load_links(home).verify(token) == UnsubscribeToken(1, 2, 1)
    (home.path / "secrets" / "links-2.key").write_bytes(b"n" * 32)
    both = load_links(home)
    assert both.verify(token) == UnsubscribeToken(1, 2, 1)
    assert both.unsubscribe_token(1, 2) != token


def test_a_token_never_reads_as_a_word_for_nothing() -> None:
    assert not any(c.isupper() for c in TOKEN)  # so "None" cannot stand in a link
