"""A mailbox is read to the end, once, and nothing is marked as seen that is not on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from pigeonry.config import Home, load_home
from pigeonry.errors import ConfigError, OutsideFailure
from pigeonry.service import inbound
from pigeonry.service.inbound import poll
from pigeonry.store.models import RawEvent
from pigeonry.store.session import Database
from tests.fakes.imap import Mailbox, serve

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PASSWORD = {"PIGEONRY_IMAP_PASSWORD": "secret"}


@pytest.fixture
def box() -> Iterator[Mailbox]:
    box = Mailbox()
    server = serve(box)
    yield box
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(home: Home, box: Mailbox) -> Home:
    env = {
        "PIGEONRY_INBOUND__IMAP_HOST": "127.0.0.1",
        "PIGEONRY_INBOUND__IMAP_PORT": str(box.port),
        "PIGEONRY_INBOUND__IMAP_SECURITY": "none",
        "PIGEONRY_INBOUND__IMAP_USERNAME": "hello",
    }
    return load_home(home.path, env=env)


def stored(db: Database) -> list[bytes]:
    with db.read() as session:
        return list(session.scalars(select(RawEvent.body).order_by(RawEvent.id)))


def fetch(db: Database, home: Home) -> int:
    return poll(db, home, now=NOON, env=PASSWORD).fetched


def test_each_mail_is_stored_once_and_then_seen(
    any_database: Database, home: Home, box: Mailbox
) -> None:
    for number in range(3):
        box.add(f"From: a{number}@example.ro\r\n\r\nx".encode())
    assert fetch(any_database, home) == 3
    assert fetch(any_database, home) == 0
    box.add(b"From: late@example.ro\r\n\r\nx")
    assert fetch(any_database, home) == 1
    assert box.fetched == [1, 2, 3, 4]
    assert box.seen == {1, 2, 3, 4}
    assert stored(any_database) == list(box.mails.values())


def test_a_mailbox_that_was_made_anew_is_read_from_its_beginning(
    database: Database, home: Home, box: Mailbox
) -> None:
    box.add(b"From: a@example.ro\r\n\r\nx")
    fetch(database, home)
    box.validity = 8
    box.add(b"From: b@example.ro\r\n\r\nx")
    assert fetch(database, home) == 2
    assert len(stored(database)) == 2


def test_a_connection_that_breaks_loses_nothing_and_marks_nothing(
    database: Database, home: Home, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "_TOGETHER", 2)
    for number in range(5):
        box.add(f"From: a{number}@example.ro\r\n\r\nx".encode())

    def breaks(uid: int) -> None:
        if uid == 4:
            raise ConnectionResetError

    box.on_fetch = breaks
    with pytest.raises(OutsideFailure) as error:
        fetch(database, home)
    assert error.value.transient
    assert len(stored(database)) == 2
    assert box.seen == {1, 2}
    box.on_fetch = lambda _uid: None
    assert fetch(database, home) == 3
    assert len(stored(database)) == 5
    assert box.seen == {1, 2, 3, 4, 5}


def test_a_death_between_fetch_and_commit_fetches_again(
    database: Database, home: Home, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add(b"From: a@example.ro\r\n\r\nx")

    def dies(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inbound.mailboxes, "move", dies)
        with pytest.raises(KeyboardInterrupt):
            fetch(database, home)
    assert stored(database) == []
    assert box.seen == set()
    assert fetch(database, home) == 1


def test_a_huge_mail_is_cut_and_its_words_are_kept(
    database: Database, home: Home, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "_MOST_BYTES", 1000)
    box.add(b"From: a@example.ro\r\n\r\nDezabonare" + b"x" * 50_000)
    fetch(database, home)
    [body] = stored(database)
    assert len(body) == 1000
    assert b"Dezabonare" in body


def test_a_mail_that_was_deleted_meanwhile_is_passed_over(
    database: Database, home: Home, box: Mailbox
) -> None:
    for number in range(2):
        box.add(f"From: a{number}@example.ro\r\n\r\nx".encode())
    box.on_fetch = lambda uid: box.mails.pop(1, None) and None  # type: ignore[func-returns-value]
    assert fetch(database, home) == 1
    assert fetch(database, home) == 0


def test_a_wrong_password_is_said_and_nothing_is_tried_again(
    database: Database, home: Home, box: Mailbox
) -> None:
    box.password = "other"
    with pytest.raises(OutsideFailure, match="user name or password") as error:
        fetch(database, home)
    assert not error.value.transient
    assert "secret" not in str(error.value)


def test_what_is_not_set_is_named(database: Database, home: Home) -> None:
    with pytest.raises(ConfigError, match="PIGEONRY_IMAP_PASSWORD"):
        poll(database, home, now=NOON, env={})
    bare = load_home(home.path, env={})
    with pytest.raises(ConfigError, match=r"inbound\.imap_host"):
        poll(database, bare, now=NOON, env=PASSWORD)


def test_a_server_that_is_not_there_is_an_outside_failure(database: Database, home: Home) -> None:
    env = {"PIGEONRY_INBOUND__IMAP_HOST": "127.0.0.1", "PIGEONRY_INBOUND__IMAP_PORT": "1"}
    with pytest.raises(OutsideFailure):
        poll(database, load_home(home.path, env=env), now=NOON, env=PASSWORD)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(RawEvent)) == 0
