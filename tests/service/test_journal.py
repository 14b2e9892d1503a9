"""A killed sender's journal tells what it began and how that ended, and nothing about anybody."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from pigeonry.config import Home
from pigeonry.domain.message import HandOver, Outcome
from pigeonry.service import journal
from pigeonry.service.journal import Journal

A, B, C = "a" * 32, "b" * 32, "c" * 32
OWNER = "boot:ns:12:34:abcd"


@pytest.fixture
def log(home: Home) -> Iterator[Journal]:
    found = Journal(home, OWNER)
    yield found
    found.close()


def told(home: Home, key: str, epoch: int = 1) -> HandOver | None:
    found = journal.read(home, OWNER)
    assert found is not None
    return found.of(key, epoch)


def test_what_began_and_ended_is_told_as_it_ended(home: Home, log: Journal) -> None:
    log.begin(A, 1)
    log.end(A, 1, HandOver(Outcome.ACCEPTED, provider_id="x1", reason="250 queued"))
    found = told(home, A)
    assert found is not None
    assert found.outcome is Outcome.ACCEPTED


def test_what_began_and_did_not_end_nobody_knows(home: Home, log: Journal) -> None:
    log.begin(A, 1)
    assert told(home, A) is None


def test_what_never_began_was_not_handed_over(home: Home, log: Journal) -> None:
    log.begin(A, 1)
    found = told(home, B)
    assert found is not None
    assert found.outcome is Outcome.RETRY


def test_a_second_try_of_the_same_mail_is_another_hand_over(home: Home, log: Journal) -> None:
    log.begin(A, 1)
    log.end(A, 1, HandOver(Outcome.RETRY, reason="451"))
    log.begin(A, 2)
    assert told(home, A, 2) is None
    first = told(home, A, 1)
    assert first is not None
    assert first.outcome is Outcome.RETRY


def test_a_line_that_was_cut_was_not_written(home: Home, log: Journal) -> None:
    log.begin(A, 1)
    with log.path.open("ab") as file:
        file.write(f"e {A} 1 accep".encode())
    assert told(home, A) is None


def test_without_a_journal_or_with_a_broken_one_nothing_is_told(home: Home, log: Journal) -> None:
    assert journal.read(home, "boot:ns:1:2:other") is None
    log.begin(A, 1)
    with log.path.open("ab") as file:
        file.write(b"\x00\x00\x00\n")
    assert journal.read(home, OWNER) is None


def test_no_word_of_a_server_is_kept(home: Home, log: Journal) -> None:
    log.begin(A, 1)
    log.end(A, 1, HandOver(Outcome.REFUSED, reason="550 no such user ion@example.com Popescu"))
    text = log.path.read_text()
    assert "ion@" not in text
    assert "Popescu" not in text


def test_after_a_backup_was_put_back_every_journal_still_knows_what_left(home: Home) -> None:
    for owner, key, end in (
        ("b:n:1:1:x", A, HandOver(Outcome.ACCEPTED)),
        ("b:n:2:2:y", B, None),
        ("b:n:3:3:z", C, HandOver(Outcome.RETRY)),
    ):
        one = Journal(home, owner)
        one.begin(key, 1)
        if end:
            one.end(key, 1, end)
        one.close()
    left = {key: end and end.outcome for key, end in journal.handed_over(home).items()}
    assert left == {A: Outcome.ACCEPTED, B: None, C: Outcome.RETRY}


def test_a_journal_is_kept_for_a_week(home: Home, log: Journal) -> None:
    eight_days_ago = time.time() - 8 * 86_400
    old = log.path.with_name("old.log")
    old.write_bytes(b"")
    os.utime(old, (eight_days_ago, eight_days_ago))
    Journal(home, "b:n:9:9:new").close()
    assert not old.exists()
    assert log.path.exists()


def test_two_lines_of_every_kind_of_end_are_understood(home: Home, log: Journal) -> None:
    for number, outcome in enumerate(Outcome, 1):
        log.begin(A, number)
        log.end(A, number, HandOver(outcome, channel="smtp>sendgrid"))
        found = told(home, A, number)
        assert found is not None
        assert (found.outcome, found.channel) == (outcome, "smtp>sendgrid")
