"""Brings a database to the schema of this version, and refuses one that is newer. The only way to a schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from pigeonry.errors import Refused
from pigeonry.store.session import Database

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"


def config(connection: Connection | None = None) -> Config:
    from alembic.config import Config  # a third of a second that only migrating has to pay

    found = Config(stdout=sys.stdout)  # its default is whatever stood there when it was imported
    found.set_main_option("script_location", str(_FOLDER))
    found.attributes["connection"] = connection
    return found


def _revisions() -> list[str]:
    """Every revision that this version knows, oldest first: a file's name begins with its number."""
    return sorted(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def head() -> str:
    return _revisions()[-1]


def current(database: Database) -> str | None:
    """The schema's revision, None for an empty database."""
    with database.engine.execution_options(pigeonry_read=True).connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def upgrade(database: Database) -> None:
    """Migrate to this version's schema; does nothing when it is there already.

    Raises Refused for a database that a newer version wrote.
    """
    from alembic import command

    refuse_newer(database)
    with database.engine.begin() as connection:
        command.upgrade(config(connection), "head")


def refuse_newer(database: Database) -> None:
    revision = current(database)
    if revision is not None and revision not in _revisions():
        raise Refused(
            f"the database has schema {revision}, which this version does not know",
            where=database.engine.url.render_as_string(hide_password=True),
            fix="it was written by a newer Pigeonry: upgrade this program; nothing was changed",
        )


def check(database: Database) -> None:
    """Raise where the models and the migrations differ (alembic's own check)."""
    from alembic import command

    with database.engine.connect() as connection:
        command.check(config(connection))
