"""Migrations are the only way to a schema, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from pigeonry.errors import Refused
from pigeonry.store import migrate
from pigeonry.store.session import Database


def test_models_and_migrations_agree(any_database: Database) -> None:
    migrate.check(any_database)
    assert migrate.current(any_database) == migrate.head()


def test_upgrading_twice_changes_nothing(any_database: Database) -> None:
    migrate.upgrade(any_database)
    migrate.upgrade(any_database)
    assert migrate.current(any_database) == migrate.head()


def test_down_and_up_again_is_clean(any_database: Database) -> None:
    from alembic import command

    with any_database.engine.begin() as connection:
        command.downgrade(migrate.config(connection), "base")
    assert migrate.current(any_database) is None
    migrate.upgrade(any_database)
    migrate.check(any_database)


def test_an_upgrade_from_the_first_version_keeps_every_row(any_database: Database) -> None:
    from alembic import command

    with any_database.engine.begin() as connection:
        command.downgrade(migrate.config(connection), "0001")
    with any_database.write() as session:
        session.execute(
            text(
                "INSERT INTO lead (email, first_name, last_name, company, phone, language, country, city,"
                " timezone, external_id, attributes, address_hash, created_at, updated_at)"
                " VALUES ('a@example.com', '', '', '', '', 'ro', 'RO', '', '', '', '{}', 'h', :at, :at)"
            ),
            {"at": "2026-11-24 10:00:00"},
        )
        session.execute(
            text(
                "INSERT INTO consent (lead_id, purpose, state, basis, source, proof, at)"
                " SELECT id, 'marketing', 'granted', 'express', 'form', '', :at FROM lead"
            ),
            {"at": "2026-11-24 10:00:00"},
        )
    migrate.upgrade(any_database)
    migrate.check(any_database)
    with any_database.read() as session:
        kept = session.execute(
            text(
                "SELECT state, text_version, expires_at FROM consent JOIN lead ON lead.id = lead_id"
            )
        ).one()
    assert tuple(kept) == ("granted", "", None)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    migrate.upgrade(database)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="newer"):
        migrate.upgrade(database)
    assert migrate.current(database) == "9999"
    database.dispose()
