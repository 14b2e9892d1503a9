"""Transactions: the opener commits, an error rolls back, and a full disk says so."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from pigeonry.errors import ConfigError, OutsideFailure
from pigeonry.store.models import Job
from pigeonry.store.session import Database, Session, shown

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def job(kind: str) -> Job:
    return Job(kind=kind, state="new", payload={}, result={}, created_at=NOW)


def kinds(database: Database) -> list[str]:
    with database.read() as session:
        return [row[0] for row in session.execute(text("SELECT kind FROM job ORDER BY id"))]


def test_a_write_is_committed_when_it_ends(any_database: Database) -> None:
    with any_database.write() as session:
        session.add(job("kept"))
    assert kinds(any_database) == ["kept"]


def test_an_error_rolls_back_everything(any_database: Database) -> None:
    with pytest.raises(RuntimeError), any_database.write() as session:
        session.add(job("lost"))
        session.flush()
        raise RuntimeError
    assert kinds(any_database) == []


def test_a_read_writes_nothing(any_database: Database) -> None:
    with any_database.read() as session:
        session.add(job("lost"))
        session.flush()
    assert kinds(any_database) == []


def test_times_come_back_in_utc(any_database: Database) -> None:
    with any_database.write() as session:
        session.add(job("timed"))
    with any_database.read() as session:
        assert session.query(Job).one().created_at == NOW


def test_a_naive_time_is_refused(any_database: Database) -> None:
    with pytest.raises(StatementError, match="naive"), any_database.write() as session:
        session.add(
            Job(kind="x", state="", payload={}, result={}, created_at=NOW.replace(tzinfo=None))
        )


def test_a_full_disk_is_said_and_what_was_committed_stays(database: Database) -> None:
    with database.write() as session:
        session.add(job("kept"))
    with database.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    with pytest.raises(OutsideFailure, match="make room on the disk"), database.write() as session:
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
        session.add_all([job("x" * 40) for _ in range(20_000)])
    assert kinds(database) == ["kept"]


def test_a_url_that_makes_no_sense_is_a_setting_to_mend() -> None:
    with pytest.raises(ConfigError, match="database"):
        Database("nonsense://")


def test_a_password_is_never_shown() -> None:
    assert "geheim" not in shown("postgresql+psycopg://user:geheim@host/db")


def test_an_error_never_shows_what_was_to_be_stored(any_database: Database) -> None:
    with (
        pytest.raises((StatementError, OutsideFailure)) as caught,
        any_database.write() as session,
    ):
        session.execute(
            text("INSERT INTO nowhere (email) VALUES (:email)"), {"email": "ana@example.com"}
        )
    assert "ana@example.com" not in str(caught.value)


@pytest.mark.parametrize(
    "moment", ["at a statement", "at the commit", "after a mistake", "at the close"]
)
def test_a_cut_connection_is_a_failure_outside_at_any_moment(
    any_database: Database, moment: str
) -> None:
    if any_database.dialect != "postgresql":
        pytest.skip("SQLite has no connection that another could cut")

    def cut(session: Session) -> None:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        with any_database.engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    if moment == "at the close":  # all that was asked was answered
        with any_database.read() as session:
            cut(session)
        return
    with pytest.raises(OutsideFailure), any_database.write() as session:
        session.add(job("a"))
        session.flush()
        cut(session)
        if moment == "at a statement":
            session.execute(text("SELECT 1"))
        if moment == "after a mistake":
            with suppress(Exception):
                session.execute(text("SELECT 1"))
            session.execute(text("SELECT 1"))
    assert kinds(any_database) == []
