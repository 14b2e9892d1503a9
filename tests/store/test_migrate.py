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


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    migrate.upgrade(database)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="newer"):
        migrate.upgrade(database)
    assert migrate.current(database) == "9999"
    database.dispose()
