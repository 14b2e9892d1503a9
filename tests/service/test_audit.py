"""The audit trail: nothing in it can be changed or taken out without being found."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pigeonry.config import Home
from pigeonry.domain.clock import utc_now
from pigeonry.service import audit
from pigeonry.store.session import Database

ENTRIES = 8


@pytest.fixture
def trail(home: Home, database: Database) -> Database:
    write(database, home)
    with database.write() as session:  # somebody with all rights over the database
        session.execute(text("DROP TRIGGER audit_no_update"))
        session.execute(text("DROP TRIGGER audit_no_delete"))
    return database


def write(database: Database, home: Home) -> None:
    for number in range(ENTRIES):
        audit.record(
            database,
            home,
            actor=f"operator:{number}",
            action="lead.erased",
            subject=f"lead:{number}",
            now=utc_now() + timedelta(seconds=number),
            count=number,
        )


def test_the_database_itself_refuses_to_change_an_entry(home: Home, any_database: Database) -> None:
    write(any_database, home)
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="never changed"), any_database.write() as session:
            session.execute(text(statement))
    found = audit.verify(any_database, home)
    assert (found.whole, found.entries) == (True, ENTRIES)
    assert audit.verify(any_database, home, expected=found.last_hash).whole
    assert not audit.verify(any_database, home, expected="0" * 64).whole


_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    row=st.integers(1, ENTRIES),
    column=st.sampled_from(["actor", "action", "subject", "previous_hash", "hash", "at"]),
    value=_VALUES,
)
def test_a_changed_entry_is_found(
    home: Home, trail: Database, row: int, column: str, value: str
) -> None:
    if column == "at":
        value = "2020-01-01 00:00:00.000000"
    old = change(trail, row, column, value)
    try:
        if old != value:
            found = audit.verify(trail, home)
            assert not found.whole
            assert found.broken_at in (row, row + 1)
    finally:
        change(trail, row, column, old)
    assert audit.verify(trail, home).whole


@pytest.mark.parametrize("row", range(1, ENTRIES))
def test_a_missing_entry_is_found(home: Home, trail: Database, row: int) -> None:
    with trail.write() as session:
        session.execute(text("DELETE FROM audit WHERE id = :id"), {"id": row})
    assert audit.verify(trail, home).broken_at == row + 1


def test_what_was_cut_off_the_end_is_found_by_a_hash_that_was_noted(
    home: Home, trail: Database
) -> None:
    noted = audit.verify(trail, home).last_hash
    with trail.write() as session:
        session.execute(text("DELETE FROM audit WHERE id = :id"), {"id": ENTRIES})
    assert audit.verify(trail, home).whole
    assert not audit.verify(trail, home, expected=noted).whole


def test_a_chain_made_without_the_key_of_the_home_is_found(home: Home, trail: Database) -> None:
    (home.path / "secrets" / audit.KEY).write_bytes(b"another key" * 3)
    assert audit.verify(trail, home).broken_at == 1


def change(database: Database, row: int, column: str, value: str) -> str:
    """Set one column; what stood there before."""
    assert column.isidentifier()
    with database.write() as session:
        old = session.scalar(text(f"SELECT {column} FROM audit WHERE id = :id"), {"id": row})
        session.execute(
            text(f"UPDATE audit SET {column} = :value WHERE id = :id"), {"value": value, "id": row}
        )
    return str(old)
