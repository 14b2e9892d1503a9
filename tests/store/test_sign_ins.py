"""What several processes of the console do to the same rows at once, on both databases."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from pigeonry.config import Home
from pigeonry.domain.operator import Role, Scope
from pigeonry.errors import Refused
from pigeonry.service import api_tokens, audit, operators
from pigeonry.service.api_tokens import Caller
from pigeonry.store import sign_ins
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=15)
THREADS = 4


def together(work: object) -> list[BaseException]:
    """Run it in several threads at once; what they raised."""
    raised: list[BaseException] = []
    barrier = threading.Barrier(THREADS)

    def run() -> None:
        barrier.wait()
        try:
            assert callable(work)
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_failures_audit_entries_and_keys_survive_a_crowd(
    any_database: Database, home: Home
) -> None:
    def fail() -> None:
        for _ in range(3):
            with any_database.write() as session:
                sign_ins.add_failure(session, "k" * 64, now=NOW, since=SINCE)

    assert together(fail) == []
    with any_database.read() as session:
        assert sign_ins.failures(session, "k" * 64, SINCE) == 3 * THREADS
        assert sign_ins.failures(session, "k" * 64, NOW) == 0

    def record() -> None:
        for _ in range(3):
            audit.record(any_database, home, actor="x", action="y", now=NOW)

    assert together(record) == []
    found = audit.verify(any_database, home)
    assert (found.whole, found.entries) == (True, 3 * THREADS)

    owner = operators.add(
        any_database, home, name="A", email="a@example.com", role=Role.ADMIN, by="x", now=NOW
    )
    token, _ = api_tokens.make(
        any_database, home, owner, name="t", scopes=(Scope.ADMIN,), days=1, now=NOW
    )
    who = Caller(token, owner)
    begun = []

    def begin() -> None:
        if api_tokens.begin_once(any_database, who, "key", b"request", now=NOW) is None:
            begun.append(1)

    refused = together(begin)
    assert len(begun) == 1
    assert len(refused) == THREADS - 1
    assert all(isinstance(error, Refused) for error in refused)

    link = operators.first_link(any_database, home, now=NOW)
    assert operators.invitation(any_database, link, now=NOW) is not None
    with any_database.read() as session:
        key = operators._hash(link)
        assert sign_ins.find_link(session, key, NOW) is not None
    used = []

    def use() -> None:
        with any_database.write() as session:
            if sign_ins.use_link(session, key, NOW):
                used.append(1)

    assert together(use) == []
    assert used == [1]
